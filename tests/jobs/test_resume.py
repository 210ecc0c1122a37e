"""A run that was ended is gone on with, and the result has the bytes of one that was not."""

from __future__ import annotations

import dataclasses
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from long_clips import (
    FRAMES,
    OPTIONS,
    SEGMENT_FRAMES,
    Ears,
    Killed,
    before_segment,
    make_source,
    spoil,
    use_short_segments,
)

from sdr2hdr.errors import (
    FrameMemoryError,
    InputError,
    OutputError,
    SourceChangedError,
    StoppedError,
    VerificationError,
)
from sdr2hdr.jobs import run
from sdr2hdr.jobs.planning import make_plan
from sdr2hdr.jobs.stopping import StopRequest
from sdr2hdr.jobs.work_folder import WorkFolder
from sdr2hdr.media.reading.frame_range import FrameRange
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.media.source import SourceInfo
from sdr2hdr.options import ConvertOptions, JobOptions, ReadOptions
from sdr2hdr.pipeline import ConversionSummary, prepare

pytestmark = pytest.mark.usefixtures("short_segments")

SEGMENTS = 5


def convert(
    source: Path,
    target: Path,
    ears: Ears | None = None,
    options: ConvertOptions = OPTIONS,
    job: JobOptions | None = None,
) -> ConversionSummary:
    return run.convert(prepare(source, target, options), job, ears)


def end_at(monkeypatch: pytest.MonkeyPatch, index: int, error: BaseException) -> None:
    """End the run before a segment, as a kill would: what is written stays."""

    def act(segment, conversion) -> None:
        if segment.index == index:
            raise error

    before_segment(monkeypatch, act)


def kill_in(source: Path, target: Path, index: int) -> None:
    """Run until a segment is due."""
    with pytest.MonkeyPatch.context() as patch:
        use_short_segments(patch)
        end_at(patch, index, Killed())
        with pytest.raises(Killed):
            convert(source, target)


@pytest.mark.parametrize("container", ["mkv", "mp4", "mov"])
def test_result_has_the_bytes_of_an_uninterrupted_run(source: Path, tmp_path: Path, container: str):
    whole, target = tmp_path / f"whole.{container}", tmp_path / f"target.{container}"
    convert(source, whole)
    for index in (0, 2, 4):
        kill_in(source, target, index)
        assert not target.exists()
    ears = Ears()
    summary = convert(source, target, ears)
    assert ears.resumed == [4]
    assert [news.segment.index for news in ears.news] == [4]
    assert (summary.frames, summary.resumed_frames) == (FRAMES, 32)
    assert target.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([target.name, whole.name])


def test_records_keep_every_figure(source: Path, tmp_path: Path):
    log, whole_log = tmp_path / "light.csv", tmp_path / "whole.csv"
    options = dataclasses.replace(OPTIONS, verify_roundtrip=True, light_log=log)
    target = tmp_path / "target.mkv"
    with pytest.MonkeyPatch.context() as patch:
        use_short_segments(patch)
        end_at(patch, 3, Killed())
        with pytest.raises(Killed):
            convert(source, target, options=options)
    resumed = convert(source, target, options=options)
    options = dataclasses.replace(options, light_log=whole_log)
    whole = convert(source, tmp_path / "whole.mkv", options=options)
    assert resumed.light == whole.light
    assert resumed.roundtrips == whole.roundtrips
    assert [shot.score.frames for shot in resumed.roundtrips] == [FRAMES]
    assert log.read_text() == whole_log.read_text()
    assert len(log.read_text().splitlines()) == FRAMES + 1


def test_merge_that_was_ended_is_done_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "target.mkv"

    def killed(*arguments: object, **more: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("sdr2hdr.jobs.merge.patch_light_levels", killed)
        with pytest.raises(Killed):
            convert(source, target)
    assert not target.exists()
    ears = Ears()
    convert(source, target, ears)
    assert ears.resumed == [SEGMENTS]
    assert target.exists()


@pytest.mark.parametrize("change", [{}, {"dither": True}])
def test_run_that_was_ended_behind_its_light_log_goes_on(
    source: Path, tmp_path: Path, change: dict[str, bool], monkeypatch: pytest.MonkeyPatch
):
    target, log = tmp_path / "target.mkv", tmp_path / "light.csv"
    options = dataclasses.replace(OPTIONS, light_log=log)

    def killed(*arguments: object, **more: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("sdr2hdr.jobs.merge.publish", killed)
        with pytest.raises(Killed):
            convert(source, target, options=options)
    written = log.read_text()
    assert len(written.splitlines()) == FRAMES + 1 and not target.exists()
    # Somebody else's log is not taken for it.
    log.write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        convert(source, target, options=options)
    assert log.read_text() == "precious"
    log.write_text(written)
    ears = Ears()
    convert(source, target, ears, dataclasses.replace(options, **change))
    assert ears.resumed == [0 if change else SEGMENTS]
    assert target.exists()
    assert len(log.read_text().splitlines()) == FRAMES + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [log.name, target.name]


def damage_file(folder: Path) -> None:
    path = folder / "000001.mp4"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut_file(folder: Path) -> None:
    path = folder / "000001.mp4"
    path.write_bytes(path.read_bytes()[:-100])


def remove_file(folder: Path) -> None:
    (folder / "000001.mp4").unlink()


def cut_record(folder: Path) -> None:
    path = folder / "000001.json"
    path.write_text(path.read_text()[:200])


def exchange_files(folder: Path) -> None:
    shutil.copyfile(folder / "000000.mp4", folder / "000001.mp4")


@pytest.mark.parametrize(
    "harm",
    [damage_file, cut_file, remove_file, cut_record, exchange_files],
    ids=lambda f: f.__name__,
)
def test_damaged_segment_is_converted_again(source: Path, tmp_path: Path, harm):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 4)
    folder = WorkFolder.of(target, None).path
    (folder / "000004.host-1.partial").write_bytes(b"half a segment")
    harm(folder)
    ears = Ears()
    convert(source, target, ears)
    assert sorted(news.segment.index for news in ears.news) == [1, 4]
    assert "Segment 1 of an earlier run is damaged" in ears.text
    convert(source, tmp_path / "whole.mkv")
    assert target.read_bytes() == (tmp_path / "whole.mkv").read_bytes()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"model": "bt2446a"}, "options.model was bt2408, is bt2446a"),
        ({"dither": True}, "options.dither"),
        ({"read": dataclasses.replace(OPTIONS.read, deband=True)}, "options.read.deband was False"),
        ({"encode": dataclasses.replace(OPTIONS.encode, quality=30)}, "options.encode.quality"),
    ],
)
def test_changed_options_start_over_and_say_so(
    source: Path, tmp_path: Path, change: dict[str, object], word: str
):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 3)
    options = dataclasses.replace(OPTIONS, **change)
    ears = Ears()
    convert(source, target, ears, options)
    assert ears.resumed == [0]
    assert word in ears.text and "starting over" in ears.text
    convert(source, tmp_path / "whole.mkv", options=options)
    assert target.read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_changed_versions_and_weights_start_over(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 3)
    monkeypatch.setattr("sdr2hdr.jobs.settings.__version__", "99")
    monkeypatch.setattr("sdr2hdr.jobs.settings.weights_identity", lambda *of: "other")
    ears = Ears()
    convert(source, target, ears)
    assert ears.resumed == [0]
    assert "made_with.sdr2hdr" in ears.text and "made_with.weights" in ears.text


def test_options_that_change_no_byte_go_on(source: Path, tmp_path: Path):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 3)
    options = dataclasses.replace(
        OPTIONS,
        overwrite=True,
        verify=False,
        read=dataclasses.replace(OPTIONS.read, strict=True, threads=1),
        engine=dataclasses.replace(OPTIONS.engine, threads=1),
    )
    ears = Ears()
    convert(source, target, ears, options)
    assert ears.resumed == [3]


def test_strict_takes_no_damage_from_an_earlier_run(source: Path, tmp_path: Path):
    own = tmp_path / "own.mp4"
    shutil.copyfile(source, own)
    spoil(own, SEGMENT_FRAMES + 3)
    target = tmp_path / "target.mkv"
    kill_in(own, target, 3)
    strict = dataclasses.replace(OPTIONS, read=dataclasses.replace(OPTIONS.read, strict=True))
    with pytest.raises(InputError, match=r"damaged: 1 .*segment 1 .*none under --strict\. Without"):
        convert(own, target, options=strict)
    assert not target.exists()
    # What is finished is kept for who takes the damage.
    ears = Ears()
    assert convert(own, target, ears).damage
    assert ears.resumed == [3]


def test_a_damaged_source_is_decoded_in_one_thread(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With several libavcodec makes up other pictures from one run to the next."""
    damaged, threads = tmp_path / "damaged.mp4", []
    shutil.copyfile(source, damaged)
    spoil(damaged, SEGMENT_FRAMES + 3)
    opened = VideoReader.__init__

    def noted(
        reader: VideoReader,
        info: SourceInfo,
        options: ReadOptions,
        frames: FrameRange | None = None,
    ):
        threads.append(options.threads)
        opened(reader, info, options, frames)

    monkeypatch.setattr(VideoReader, "__init__", noted)
    convert(source, tmp_path / "whole.mkv")
    assert threads == [None] * len(threads)
    threads.clear()
    convert(damaged, tmp_path / "target.mkv")
    assert threads == [None] + [1] * (len(threads) - 1)


def test_no_resume_starts_over(source: Path, tmp_path: Path):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 3)
    ears = Ears()
    convert(source, target, ears, job=JobOptions(resume=False))
    assert ears.resumed == [0]


def test_another_source_starts_over(source: Path, tmp_path: Path):
    own = tmp_path / "own.mp4"
    shutil.copyfile(source, own)
    target = tmp_path / "target.mkv"
    kill_in(own, target, 3)
    shutil.copyfile(make_source(tmp_path, FRAMES - 4), own)
    ears = Ears()
    assert convert(own, target, ears).frames == FRAMES - 4
    assert "the source is another file" in ears.text


def test_source_that_changes_on_the_way_is_noticed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = tmp_path / "own.mp4"
    shutil.copyfile(source, own)

    def act(segment, conversion) -> None:
        if segment.index == 2:
            content = bytearray(own.read_bytes())
            content[-1] ^= 1
            own.write_bytes(content)

    before_segment(monkeypatch, act)
    with pytest.raises(SourceChangedError, match="has changed"):
        convert(own, tmp_path / "target.mkv")
    assert not (tmp_path / "target.mkv").exists()


def test_writing_between_what_is_looked_at_is_noticed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own = tmp_path / "own.mp4"
    shutil.copyfile(source, own)
    changed = []

    def act(segment, conversion) -> None:
        if segment.index == 2 and not changed:
            # Neither size nor samples tell; the file's own time does.
            os.utime(own, ns=(0, 10**18))
            changed.append(segment.index)

    before_segment(monkeypatch, act)
    target = tmp_path / "target.mkv"
    with pytest.raises(SourceChangedError, match="written to or replaced while it was read"):
        convert(own, target)
    assert not target.exists()
    assert WorkFolder.of(target, None).count_finished() == 2
    os.utime(own, ns=(0, 4 * 10**18))
    ears = Ears()
    convert(own, target, ears)
    assert ears.resumed == [2]
    assert "was written to after it was planned" in ears.text
    convert(source, tmp_path / "whole.mkv")
    assert target.read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_source_that_vanishes_and_comes_back(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As on a network file system that was away."""
    own, away = tmp_path / "own.mp4", tmp_path / "away.mp4"
    shutil.copyfile(source, own)
    target, ears = tmp_path / "target.mkv", Ears()

    def act(segment, conversion) -> None:
        if segment.index == 2 and not away.exists():
            own.rename(away)

    with monkeypatch.context() as patch:
        before_segment(patch, act)
        with pytest.raises(InputError, match="cannot be read") as told:
            convert(own, target, ears)
    assert told.value.exit_code == 3
    assert not target.exists()
    assert WorkFolder.of(target, None).count_finished() == 2
    away.rename(own)
    again = Ears()
    convert(own, target, again)
    assert again.resumed == [2]
    convert(own, tmp_path / "whole.mkv")
    assert target.read_bytes() == (tmp_path / "whole.mkv").read_bytes()


def test_out_of_memory_starts_over_with_smaller_tiles(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def act(segment, conversion) -> None:
        tile_px = conversion.engine.tile_px
        if segment.index == 2 and tile_px > 40:
            raise FrameMemoryError("no memory", tile_px)

    before_segment(monkeypatch, act)
    ears = Ears()
    convert(source, tmp_path / "target.mkv", ears)
    tiles = [plan.pinned["computed_with"]["tile_px"] for plan in ears.plans]
    assert tiles[-1] <= 40 < tiles[-2]
    assert all(later == earlier // 2 for earlier, later in pairwise(tiles))
    assert ears.resumed == [0] * len(tiles)
    assert f"starting over with {tiles[-1]} px" in ears.text


def test_resumed_run_keeps_the_plans_tile(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 3)
    planned = WorkFolder.of(target, None).plan()
    assert planned is not None
    tile_px = planned.pinned["computed_with"]["tile_px"]
    used = []
    before_segment(monkeypatch, lambda segment, conversion: used.append(conversion.engine.tile_px))
    ears = Ears()
    other = prepare(source, target, OPTIONS, tile_px // 2)
    run.convert(other, listener=ears)
    assert ears.resumed == [3]
    assert used == [tile_px, tile_px]


def test_work_folder_may_lie_elsewhere(source: Path, tmp_path: Path):
    (tmp_path / "work").mkdir()
    options = dataclasses.replace(OPTIONS, temp_dir=tmp_path / "work")
    target = tmp_path / "target.mkv"
    with pytest.MonkeyPatch.context() as patch:
        use_short_segments(patch)
        end_at(patch, 3, Killed())
        with pytest.raises(Killed):
            convert(source, target, options=options)
    assert len(list((tmp_path / "work").iterdir())) == 1
    ears = Ears()
    convert(source, target, ears, options)
    assert ears.resumed == [3]
    assert list((tmp_path / "work").iterdir()) == []


def test_a_stop_while_planning_leaves_and_promises_nothing(source: Path, tmp_path: Path):
    request = StopRequest()
    request.ask(130)
    with pytest.raises(StoppedError, match="before anything was finished"):
        run.convert(prepare(source, tmp_path / "target.mkv", OPTIONS), stop=request)
    assert list(tmp_path.iterdir()) == []


def test_a_stop_while_merging_keeps_the_segments(source: Path, tmp_path: Path):
    class Stopper(Ears):
        def merging(self, segments: int) -> None:
            request.ask(130)

    request, target = StopRequest(), tmp_path / "target.mkv"
    with pytest.raises(StoppedError, match="same command goes on"):
        run.convert(prepare(source, target, OPTIONS), listener=Stopper(), stop=request)
    assert not target.exists()
    folder = WorkFolder.of(target, None)
    assert not folder.merged.exists()
    ears = Ears()
    convert(source, target, ears)
    assert ears.resumed == [SEGMENTS]


def test_a_given_plan_keeps_its_smaller_tiles(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "target.mkv"
    conversion = prepare(source, target, OPTIONS)
    plan = make_plan(conversion)
    given_px = plan.pinned["computed_with"]["tile_px"]

    def act(segment, conversion) -> None:
        if conversion.engine.tile_px == given_px:
            raise FrameMemoryError("no memory", given_px)
        if segment.index == 3:
            raise Killed

    with monkeypatch.context() as patch:
        before_segment(patch, act)
        with pytest.raises(Killed):
            run.convert(conversion, plan=plan)
    ears = Ears()
    run.convert(conversion, listener=ears, plan=plan)
    assert ears.resumed == [3]
    assert ears.plans[0].pinned["computed_with"]["tile_px"] == given_px // 2


def test_another_given_plan_starts_over_and_says_so(source: Path, tmp_path: Path):
    target = tmp_path / "target.mkv"
    kill_in(source, target, 3)
    other = prepare(source, target, dataclasses.replace(OPTIONS, dither=True))
    ears = Ears()
    run.convert(other, listener=ears, plan=make_plan(other))
    assert ears.resumed == [0]
    assert "is of another plan" in ears.text and "starting over" in ears.text


def test_segments_stay_when_the_result_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*arguments: object) -> None:
        raise VerificationError("not as promised")

    target = tmp_path / "target.mkv"
    with monkeypatch.context() as patch:
        patch.setattr("sdr2hdr.jobs.merge.verify_output", refused)
        with pytest.raises(VerificationError):
            convert(source, target)
    assert not target.exists()
    ears = Ears()
    convert(source, target, ears)
    assert ears.resumed == [SEGMENTS]


def test_stop_request_keeps_what_is_finished(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target, request = tmp_path / "target.mkv", StopRequest()

    def act(segment, conversion) -> None:
        if segment.index == 2:
            request.ask(143)

    before_segment(monkeypatch, act)
    conversion = prepare(source, target, OPTIONS)
    with pytest.raises(StoppedError, match="same command goes on") as stopped:
        run.convert(conversion, stop=request)
    assert stopped.value.exit_code == 143
    assert f"`sdr2hdr clean {WorkFolder.of(target, None).path}`" in str(stopped.value)
    # Segment 2 takes less than the grace: it is finished before the end.
    assert WorkFolder.of(target, None).count_finished() == 3
    ears = Ears()
    convert(source, target, ears)
    assert ears.resumed == [3]
