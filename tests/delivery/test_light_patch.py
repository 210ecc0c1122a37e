"""Placeholders in finished files are replaced everywhere, and nothing else changes."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path

import pytest
from pq_clips import (
    PQ_BT2020,
    PqClip,
    decoded_levels,
    flat_frames,
    make_pq,
    packets,
    slices,
    with_placeholders,
)

from sdr2hdr.delivery.light_patch import patch_light_levels
from sdr2hdr.errors import VerificationError
from sdr2hdr.media.containers.ebml import elements_in, find_element
from sdr2hdr.quality.light_levels import LightLevels

LEVELS = LightLevels(max_cll=1004, max_fall=203, robust_max_cll=900, robust_max_fall=180)
FRAMES = 12
KEY_FRAMES = 3
MARK = b"\x7f" * 4
SEGMENT, TRACKS, CLUSTER, CRC_32 = 0x18538067, 0x1654AE6B, 0x1F43B675, 0xBF
MATROSKA_LEVELS = (b"\x55\xbc\x82", b"\x55\xbd\x82")


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files with placeholders by codec and suffix; x265 itself wrote those of HEVC's stream."""
    folder = tmp_path_factory.mktemp("marked")
    hevc = PqClip(tags=PQ_BT2020, params="max-cll=32639,32639:repeat-headers=1")
    plain = {
        "hevc": make_pq(folder / "hevc_source.mkv", hevc, flat_frames(hevc, range(300, 312))),
    }
    av1 = PqClip(codec="libsvtav1", tags=PQ_BT2020)
    plain["av1"] = make_pq(folder / "av1_source.mkv", av1, flat_frames(av1, range(300, 312)))
    pairs = [("hevc", s) for s in (".mp4", ".mov", ".mkv")] + [("av1", ".mp4"), ("av1", ".mkv")]
    return {
        codec + suffix: with_placeholders(plain[codec], folder / f"{codec}{suffix}")
        for codec, suffix in pairs
    }


@pytest.fixture
def file(request: pytest.FixtureRequest, marked: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of one of the files that a test may change."""
    name = request.param
    return Path(shutil.copy(marked[name], tmp_path / name))


ALL = pytest.mark.parametrize(
    "file", ["hevc.mp4", "hevc.mov", "hevc.mkv", "av1.mp4", "av1.mkv"], indirect=True
)


@ALL
def test_every_place_says_the_measured_levels(file: Path):
    before = file.read_bytes()
    assert decoded_levels(file) == {(32639, 32639)}
    summary = patch_light_levels(file, LEVELS)
    assert (summary.max_cll, summary.max_fall) == (1004, 203)
    is_matroska = file.suffix == ".mkv"
    assert summary.places == {
        "container": 2 if is_matroska else 1,
        "stream header": 1,
        "frames": KEY_FRAMES,
    }
    assert decoded_levels(file) == {(1004, 203)}
    after = file.read_bytes()
    assert MARK not in after
    levels = b"\x03\xec\x00\xcb"
    assert after.count(levels) == before.count(MARK)
    if is_matroska:
        for element, level in zip(MATROSKA_LEVELS, (levels[:2], levels[2:]), strict=True):
            assert element + level in after


@ALL
def test_nothing_but_levels_and_checksums_changes(file: Path):
    before = file.read_bytes()
    count = len(patch_light_levels(file, LEVELS).places)
    after = file.read_bytes()
    assert len(after) == len(before)
    changed = sum(old != new for old, new in zip(before, after, strict=True))
    assert 0 < changed <= 4 * (KEY_FRAMES + count + 1) + 4 * (KEY_FRAMES + 1)
    assert len(packets(file)) == FRAMES


@pytest.mark.parametrize("file", ["hevc.mkv", "av1.mkv"], indirect=True)
def test_matroska_checksums_are_right(file: Path):
    patch_light_levels(file, LEVELS)
    data = file.read_bytes()
    (segment,) = find_element(data, SEGMENT)
    checked = 0
    for element in elements_in(data, segment.content, segment.end):
        if element.identifier not in (TRACKS, CLUSTER):
            continue
        first = next(elements_in(data, element.content, element.end))
        assert first.identifier == CRC_32
        stored = int.from_bytes(data[first.content : first.end], "little")
        assert stored == zlib.crc32(data[first.end : element.end])
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("file", ["hevc.mp4"], indirect=True)
def test_robust_levels(file: Path):
    patch_light_levels(file, LEVELS, robust=True)
    assert decoded_levels(file) == {(900, 180)}


@pytest.mark.parametrize("file", ["hevc.mp4", "hevc.mkv"], indirect=True)
def test_levels_that_need_a_byte_more(file: Path, monkeypatch: pytest.MonkeyPatch):
    before = [slices(data, 4) for _, _, data in packets(file)]
    times = [time for time, _, _ in packets(file)]
    replace, was_open = Path.replace, []

    def replaced(unfinished: Path, target: Path) -> Path:
        links = Path("/proc/self/fd").glob("*")
        was_open.extend(each for each in links if each.exists() and each.samefile(target))
        return replace(unfinished, target)

    monkeypatch.setattr(Path, "replace", replaced)
    patch_light_levels(file, LightLevels(512, 2, 512, 2))
    # Windows would not replace a file that is open.
    assert not was_open
    assert decoded_levels(file) == {(512, 2)}
    with_prevention = b"\x4e\x01\x90\x04\x02\x00\x00\x03\x02\x80"
    assert file.read_bytes().count(with_prevention) == 1 + KEY_FRAMES
    assert [slices(data, 4) for _, _, data in packets(file)] == before
    assert [time for time, _, _ in packets(file)] == times
    assert MARK not in file.read_bytes()
    assert not list(file.parent.glob(".*"))


@ALL
def test_a_file_is_not_patched_twice(file: Path):
    patch_light_levels(file, LEVELS)
    before = file.read_bytes()
    with pytest.raises(VerificationError, match="other light levels than the placeholder") as error:
        patch_light_levels(file, LEVELS)
    assert error.value.exit_code == 7
    assert file.read_bytes() == before


@pytest.mark.parametrize("file", ["hevc.mp4", "hevc.mkv"], indirect=True)
def test_a_key_frame_without_levels_is_an_error(file: Path):
    data = bytearray(file.read_bytes())
    last = data.rindex(b"\x4e\x01\x90\x04" + MARK)
    # Another kind of message, which players pass over.
    data[last + 2] = 200
    file.write_bytes(data)
    with pytest.raises(VerificationError, match="1 of 3 key frames"):
        patch_light_levels(file, LEVELS)
    assert file.read_bytes() == data


def test_a_container_without_levels_is_an_error(tmp_path: Path):
    clip = PqClip(tags=PQ_BT2020, params="max-cll=32639,32639:repeat-headers=1")
    source = make_pq(tmp_path / "plain.mp4", clip, flat_frames(clip, (400,) * 4))
    with pytest.raises(VerificationError, match="container"):
        patch_light_levels(source, LEVELS)


def test_a_stream_without_levels_is_an_error(tmp_path: Path):
    clip = PqClip(tags=PQ_BT2020)
    source = make_pq(tmp_path / "plain.mp4", clip, flat_frames(clip, (400,) * 4))
    with pytest.raises(VerificationError, match=r"stream header.* and in 1 of 1 key frames"):
        patch_light_levels(source, LEVELS)
