from __future__ import annotations

from fractions import Fraction

import pytest

from sdr2hdr.media.reading.timestamps import TimestampRepair, time_in_ticks

MS = Fraction(1, 1000)


def placed(times: list[int | None], duration: int = 40) -> tuple[list[int], TimestampRepair]:
    repair = TimestampRepair(MS, usual_ticks=40, start_pts=100)
    return [repair.placed(time, duration) for time in times], repair


def test_good_times_stay():
    times = [0, 40, 41, 500]
    found, repair = placed(list(times))
    assert found == times
    assert repair.notices() == ()


def test_missing_times_follow_the_frame_before():
    found, repair = placed([None, None, 200, None])
    assert found == [100, 140, 200, 240]
    assert repair.missing == 3
    assert "had no timestamp" in repair.notices()[0].text


def test_parts_of_a_film_say_the_same():
    """What is said twice in the same words is told once."""
    _, one = placed([None, 40, 40])
    _, more = placed([None, None, 200, None, 240, 240, 240])
    assert len(one.notices()) == 2
    assert one.notices() == more.notices()


def test_missing_duration_takes_the_usual_one():
    found, _ = placed([None, None], duration=0)
    assert found == [100, 140]


def test_doubled_times_are_moved_by_a_tick_and_counted():
    found, repair = placed([0, 40, 40, 40, 80])
    assert found == [0, 40, 41, 42, 80]
    assert repair.nudged == 2


def test_a_slip_back_loses_no_frame():
    found, _ = placed([0, 40, 20, 80])
    assert found == [0, 40, 41, 80]


def test_a_new_clock_is_joined_on():
    found, repair = placed([5000, 5040, 0, 40, 90])
    assert found == [5000, 5040, 5080, 5120, 5170]
    assert repair.restarts == 1


@pytest.mark.parametrize("ticks", [1001, 7 * 1001, 33 * 1001])
@pytest.mark.parametrize("digits", [6, 9, 17])
def test_a_written_time_means_the_frame_it_was_rounded_from(ticks, digits):
    base = Fraction(1, 30000)
    seconds = round(ticks / 30000, digits)
    place = time_in_ticks(seconds, base, Fraction(0))
    assert ticks >= place > ticks - 1


def test_the_files_start_is_added():
    place = time_in_ticks(0.0, Fraction(1, 90000), Fraction(36, 25))
    assert 129_599 < place <= 129_600
