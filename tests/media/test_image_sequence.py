"""Pictures instead of a video: exact codes, light in cd/m2, and files that say what they are."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.errors import OutputError
from sdr2hdr.frames import FrameTime, RgbBatch, Timeline
from sdr2hdr.media.containers.exr_header import exr_white_cd_m2
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.reading.still_images import read_linear_picture
from sdr2hdr.media.targets import frame_path, target_kind
from sdr2hdr.media.writing.image_sequence import ImageSequenceWriter
from sdr2hdr.signal import BT709_DISPLAY, HDR_DISPLAY

CLOCK = Fraction(1, 25)
HEIGHT, WIDTH = 38, 50
VIDEO = OutputVideo(WIDTH, HEIGHT, CLOCK, Fraction(25))


def batch(frames: int = 2) -> RgbBatch:
    generator = torch.Generator().manual_seed(4)
    pixels = torch.rand((frames, 3, HEIGHT, WIDTH), generator=generator)
    times = tuple(FrameTime(number, 1) for number in range(frames))
    return RgbBatch(pixels, HDR_DISPLAY, Timeline(CLOCK, times))


def write(target: Path, video: OutputVideo = VIDEO, overwrite: bool = False) -> RgbBatch:
    made = batch()
    with ImageSequenceWriter(target, video, pq_eotf, overwrite=overwrite) as writer:
        writer.write(made)
        assert not list(target.parent.glob("[!.]*")) or overwrite, "no name before the end"
        summary = writer.finish()
    assert summary.frames == 2
    files = sorted(target.parent.iterdir())
    assert summary.size_bytes == sum(path.stat().st_size for path in files)
    return made


def packed(path: Path, pixel_format: str, dtype: str) -> np.ndarray:
    """The one picture of a file, (H, W, 3), in the decoder's own format."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name == pixel_format
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), dtype).reshape(-1, plane.line_size // 2)
    return rows[: frame.height, : 3 * frame.width].reshape(frame.height, frame.width, 3)


def codes(pixels: torch.Tensor) -> np.ndarray:
    return np.rint(pixels.permute(1, 2, 0).numpy().astype(float) * 65535).astype(int)


def png_chunks(data: bytes) -> dict[bytes, bytes]:
    chunks, position = {}, 8
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + size]
        assert struct.unpack_from(">I", data, position + 8 + size) == (zlib.crc32(body),)
        chunks.setdefault(body[:4], body[4:])
        position += 12 + size
    return chunks


def test_png(tmp_path: Path):
    made = write(tmp_path / "shot_%04d.png")
    for number in (1, 2):
        path = tmp_path / f"shot_{number:04d}.png"
        found = packed(path, "rgb48be", ">u2")
        assert np.array_equal(found.astype(int), codes(made.pixels[number - 1]))
        chunks = png_chunks(path.read_bytes())
        assert chunks[b"cICP"] == bytes([9, 16, 0, 1])
        assert struct.unpack(">8H2I", chunks[b"mDCV"]) == (
            *(34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450),
            *(10_000_000, 1),
        )
        assert list(chunks).index(b"mDCV") < list(chunks).index(b"IDAT")


def test_tiff(tmp_path: Path):
    made = write(tmp_path / "shot_%04d.tif")
    found = packed(tmp_path / "shot_0002.tif", "rgb48le", "<u2")
    assert np.array_equal(found.astype(int), codes(made.pixels[1]))
    with ImageSequenceWriter(tmp_path / "other_%d.tiff", VIDEO, pq_eotf) as writer:
        (notice,) = writer.notices
    assert "PQ" in notice.text and "full" in notice.text


def test_exr_holds_light_in_cd_m2(tmp_path: Path):
    made = write(tmp_path / "shot_%04d.exr")
    path = tmp_path / "shot_0001.exr"
    picture = read_linear_picture(path)
    light = pq_eotf(made.pixels[0]).permute(1, 2, 0).numpy()
    assert np.array_equal(picture.pixels, light.astype(np.float16).astype(np.float32))
    assert light.max() > 9000 and light.min() < 1
    assert picture.chromaticities is not None
    assert picture.chromaticities.ravel() == pytest.approx(
        [0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290], abs=1e-6
    )
    assert exr_white_cd_m2(path) == 1.0


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), None])
def test_exr_says_the_frame_rate_if_there_is_one(tmp_path: Path, rate: Fraction | None):
    """OpenEXR's standard attributes: a rational is an int, then an unsigned int."""
    write(tmp_path / "shot_%04d.exr", OutputVideo(WIDTH, HEIGHT, CLOCK, rate))
    said = b"framesPerSecond\0rational\0" + struct.pack("<IiI", 8, 24000, 1001)
    data = (tmp_path / "shot_0001.exr").read_bytes()
    assert (data.count(said), data.count(b"framesPerSecond")) == ((1, 1) if rate else (0, 0))


@pytest.mark.parametrize(("rotation_degrees", "expected"), [(0, 16 / 11), (90, 11 / 16)])
def test_exr_and_tiff_say_the_shape_of_their_pixels(
    tmp_path: Path, rotation_degrees: int, expected: float
):
    video = replace(VIDEO, sample_aspect_ratio=Fraction(16, 11), rotation_degrees=rotation_degrees)
    for suffix in ("exr", "tif"):
        folder = tmp_path / suffix
        folder.mkdir()
        write(folder / f"shot_%d.{suffix}", video)
    exr = (tmp_path / "exr" / "shot_1.exr").read_bytes()
    name = b"pixelAspectRatio\0float\0\4\0\0\0"
    (found,) = struct.unpack_from("<f", exr, exr.index(name) + len(name))
    assert found == pytest.approx(expected)
    # TIFF 6.0: 282 and 283 are pixels a unit across and down, each a fraction (5) of its own.
    tiff = (tmp_path / "tif" / "shot_1.tif").read_bytes()
    across, down = (
        Fraction(*struct.unpack_from("<II", tiff, *struct.unpack_from("<I", tiff, place + 8)))
        for place in (tiff.index(struct.pack("<HHI", tag, 5, 1)) for tag in (282, 283))
    )
    assert float(down / across) == pytest.approx(expected)


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".exr"])
def test_padding_is_cut_off_and_turned_pictures_stand_upright(
    tmp_path: Path, suffix: str, is_mirrored: bool
):
    turn = {"rotation_degrees": 90, "is_mirrored": is_mirrored}
    video = replace(VIDEO, crop_right_px=1, crop_bottom_px=2, **turn)
    made = write(tmp_path / f"shot_%d{suffix}", video)
    upright = torch.rot90(made.pixels[0, :, : HEIGHT - 2, : WIDTH - 1], 1, dims=(1, 2))
    upright = upright.flip(2) if is_mirrored else upright
    path = tmp_path / f"shot_1{suffix}"
    if suffix == ".png":
        assert np.array_equal(packed(path, "rgb48be", ">u2").astype(int), codes(upright))
    else:
        light = pq_eotf(upright).permute(1, 2, 0).numpy()
        assert np.array_equal(read_linear_picture(path).pixels, light.astype(np.float16))


def test_older_frames_are_kept_or_replaced_whole(tmp_path: Path):
    for number in (2, 7):
        (tmp_path / f"shot_{number:04d}.png").write_text("old")
    (tmp_path / "shot_final.png").write_text("another")
    target = tmp_path / "shot_%04d.png"
    with pytest.raises(OutputError, match=r"exists already, and 1 more .*--overwrite"):
        ImageSequenceWriter(target, VIDEO, pq_eotf)
    with ImageSequenceWriter(target, VIDEO, pq_eotf, overwrite=True) as writer:
        writer.write(batch())
    assert (tmp_path / "shot_0002.png").read_text() == "old", "not finished: nothing changes"
    with ImageSequenceWriter(target, VIDEO, pq_eotf, overwrite=True) as writer:
        writer.write(batch())
        writer.finish()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["shot_0001.png", "shot_0002.png", "shot_final.png"]
    assert (tmp_path / "shot_0002.png").read_bytes().startswith(b"\x89PNG")


def test_frames_that_have_appeared_meanwhile_are_kept_or_replaced_whole(tmp_path: Path):
    target, appeared = tmp_path / "shot_%04d.png", tmp_path / "shot_0007.png"
    with ImageSequenceWriter(target, VIDEO, pq_eotf) as writer:
        writer.write(batch())
        appeared.write_text("another run's")
        # It told of "0 more" of a single file.
        with pytest.raises(OutputError, match=r"0007\.png has appeared meanwhile; --overwrite"):
            writer.finish()
    assert list(tmp_path.iterdir()) == [appeared]
    appeared.unlink()
    with ImageSequenceWriter(target, VIDEO, pq_eotf, overwrite=True) as writer:
        writer.write(batch())
        appeared.write_text("another run's")
        writer.finish()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["shot_0001.png", "shot_0002.png"]


@pytest.mark.parametrize("name", ["shot.png", "shot_%04d_%04d.png", "shot_%s.png", "a%%_%d.png"])
def test_names_without_a_single_place_are_refused(tmp_path: Path, name: str):
    with pytest.raises(OutputError, match="no single place"):
        ImageSequenceWriter(tmp_path / name, VIDEO, pq_eotf)


def test_wrong_pictures_and_none_are_refused(tmp_path: Path):
    with ImageSequenceWriter(tmp_path / "%d.png", VIDEO, pq_eotf) as writer:
        with pytest.raises(ValueError, match="expected 50x38"):
            writer.write(replace(batch(), signal=BT709_DISPLAY))
        with pytest.raises(OutputError, match="No frame"):
            writer.finish()
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(OutputError, match="No such file"):
        ImageSequenceWriter(tmp_path / "missing" / "%d.png", VIDEO, pq_eotf)


@pytest.mark.parametrize(
    ("target", "kind"),
    [("-", "pipe"), ("a_%04d.EXR", "sequence"), ("a.mkv", "container"), ("a", "container")],
)
def test_target_kind(target: str, kind: str):
    assert target_kind(Path(target)) == kind


def test_numbers_longer_than_their_place():
    assert frame_path(Path("f_%02d.png"), 123).name == "f_123.png"
