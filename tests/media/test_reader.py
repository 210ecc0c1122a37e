from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.bitstream import BitStreamFilterContext
from source_clips import (
    NTSC_DV,
    UNTAGGED,
    Clip,
    add_video,
    decoded,
    encode_video,
    frame_of,
    packet_places,
    random_planes,
    spoil,
    write_clip,
)

from sdr2hdr.errors import AlreadyHdrError, InputError
from sdr2hdr.frames import CodedBatch, FrameTime
from sdr2hdr.media.pixel_formats import pixel_layout
from sdr2hdr.media.planes import frame_planes
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.media.reading.reader import VideoReader
from sdr2hdr.options import ColourOverrides, ReadOptions, TimeRange
from sdr2hdr.signal import ChromaSiting, ColourRange, Matrix, Subsampling, Transfer

H264 = Clip(codec="libx264", options={"qp": "10", "g": "8", "bf": "2"}, pts=tuple(range(40)))
IRREGULAR = (0, 40, 100, 101, 300, 340, 400, 401, 402, 900, 1000, 1111)


def read(path: Path, options: ReadOptions | None = None) -> list[CodedBatch]:
    options = options or ReadOptions()
    with VideoReader(probe(path, options), options) as reader:
        return list(reader)


def times(batches: list[CodedBatch]) -> list[FrameTime]:
    return [time for batch in batches for time in batch.timeline.frames]


def lumas(batches: list[CodedBatch]) -> torch.Tensor:
    return torch.cat([batch.luma.to(torch.int32) for batch in batches])


def in_seconds(start: float | None, end: float | None, **options) -> ReadOptions:
    return ReadOptions(time_range=TimeRange(start, end), **options)


PLANAR = {
    "yuv420p": (Subsampling.YUV420, 8),
    "yuv411p": (Subsampling.YUV411, 8),
    "yuv422p": (Subsampling.YUV422, 8),
    "yuv444p": (Subsampling.YUV444, 8),
    "yuv420p10le": (Subsampling.YUV420, 10),
    "yuv422p10le": (Subsampling.YUV422, 10),
    "yuv444p12le": (Subsampling.YUV444, 12),
    "yuv420p16le": (Subsampling.YUV420, 16),
    "gbrp": (Subsampling.YUV444, 8),
    "gbrp10le": (Subsampling.YUV444, 10),
    "gbrp12le": (Subsampling.YUV444, 12),
}


@pytest.mark.parametrize("pixel_format", PLANAR)
@pytest.mark.parametrize("size", [(64, 48), (51, 37)])
def test_planes_arrive_as_they_were_encoded(tmp_path, pixel_format, size):
    # FFV1 stores 8-bit RGB packed; Ut Video keeps its planes.
    codec, suffix = ("utvideo", "avi") if pixel_format == "gbrp" else ("ffv1", "mkv")
    clip = Clip(codec, pixel_format, width_px=size[0], height_px=size[1], pts=range(3))
    batches = read(
        write_clip(tmp_path / f"a.{suffix}", clip, random_planes), ReadOptions(batch_frames=2)
    )
    assert [len(batch.timeline) for batch in batches] == [2, 1]
    signal = batches[0].signal
    assert (signal.subsampling, signal.bit_depth) == PLANAR[pixel_format]
    assert (signal.matrix is Matrix.RGB) == pixel_format.startswith("gbr")
    for number in range(3):
        batch, place = batches[number // 2], number % 2
        expected = random_planes(clip, number)
        for plane, values in zip((batch.luma, batch.cb, batch.cr), expected, strict=True):
            assert plane.dtype is (torch.uint8 if signal.bit_depth == 8 else torch.uint16)
            np.testing.assert_array_equal(plane[place].numpy(), values)


def test_columns_that_the_stream_crops_at_the_left_are_gone(tmp_path: Path):
    """8 columns are fewer than libavcodec's own alignment takes off, on any processor with AVX."""
    whole = write_clip(tmp_path / "whole.h264", replace(H264, pts=range(3)))
    cropped = tmp_path / "cropped.h264"
    with av.open(str(whole)) as container:
        stream = container.streams.video[0]
        crop = BitStreamFilterContext("h264_metadata=crop_left=8:crop_top=6", stream)
        packets = [done for packet in container.demux(stream) for done in crop.filter(packet)]
        cropped.write_bytes(b"".join(bytes(packet) for packet in packets))
    expected = lumas(read(whole))[:, 6:, 8:]
    assert probe(cropped, ReadOptions()).video.width_px == expected.shape[2]
    assert torch.equal(lumas(read(cropped)), expected)


def test_interleaved_chroma_is_taken_apart(tmp_path):
    clip = Clip(codec="rawvideo", pixel_format="nv12", pts=range(2))
    path = write_clip(tmp_path / "a.avi", clip, random_planes)
    (first, _) = read(path)
    luma, chroma = random_planes(clip, 0)
    np.testing.assert_array_equal(first.luma[0].numpy(), luma)
    np.testing.assert_array_equal(first.cb[0].numpy(), chroma[:, 0::2])
    np.testing.assert_array_equal(first.cr[0].numpy(), chroma[:, 1::2])


@pytest.mark.parametrize(("pixel_format", "shift"), [("p010le", 6), ("p012le", 4), ("p016le", 0)])
def test_high_bits_are_moved_down(pixel_format, shift):
    clip = Clip(pixel_format=pixel_format, width_px=50, height_px=37)
    luma, chroma = random_planes(clip, 0)
    planes = frame_planes(frame_of(clip, [luma, chroma]), pixel_layout(pixel_format))
    np.testing.assert_array_equal(planes.luma, luma >> shift)
    np.testing.assert_array_equal(planes.cb, chroma[:, 0::2] >> shift)
    np.testing.assert_array_equal(planes.cr, chroma[:, 1::2] >> shift)


@pytest.mark.parametrize(
    ("pixel_format", "codec", "letters"),
    [
        ("bgr24", "rawvideo", "bgr"),
        ("rgb24", "png", "rgb"),
        ("rgba", "png", "rgba"),
        ("rgb48be", "png", "rgb"),
        ("rgba64be", "png", "rgba"),
    ],
)
def test_packed_rgb_becomes_planes(tmp_path, pixel_format, codec, letters):
    clip = Clip(codec=codec, pixel_format=pixel_format, pts=range(2), tags=(1, 1, 2))
    (first, _) = read(write_clip(tmp_path / "a.avi", clip, random_planes))
    pixels = random_planes(clip, 0)[0].reshape(48, 64, len(letters))
    if pixel_format.endswith("be"):
        pixels = pixels.byteswap()
    for plane, letter in ((first.luma, "g"), (first.cb, "b"), (first.cr, "r")):
        np.testing.assert_array_equal(plane[0].numpy(), pixels[..., letters.index(letter)])
    assert first.signal.matrix is Matrix.RGB


@pytest.mark.parametrize("pixel_format", ["uyvy422", "yuyv422", "yvyu422"])
@pytest.mark.parametrize("size", [(64, 48), (51, 37)])
def test_packed_pairs_become_the_planes_that_libswscale_makes_of_them(pixel_format, size):
    frame = av.VideoFrame(*size, pixel_format)
    memory = np.random.default_rng(1).integers(0, 256, frame.planes[0].buffer_size)
    frame.planes[0].update(memory.astype(np.uint8).tobytes())
    found = frame_planes(frame, pixel_layout(pixel_format))
    expected = frame_planes(frame.reformat(format="yuv422p"), pixel_layout("yuv422p"))
    for name in ("luma", "cb", "cr"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("name", "pixel_format", "order"),
    [
        ("2vuy.mov", "uyvy422", "UYVY"),
        ("yuvs.mov", "yuyv422", "YUYV"),
        ("a.avi", "yuyv422", "YUYV"),
        ("yvyu.avi", "yvyu422", "YVYU"),
    ],
)
def test_what_capture_cards_write_is_read_to_the_bit(tmp_path, name, pixel_format, order):
    clip = Clip(codec="rawvideo", pixel_format=pixel_format, pts=range(2))

    def pairs(clip: Clip, number: int) -> list[np.ndarray]:
        memory = np.random.default_rng(number).integers(0, 256, (48, 128))
        return [memory.astype(np.uint8)]

    path = write_clip(tmp_path / name, clip, pairs)
    assert probe(path, ReadOptions()).video.pixel_format == pixel_format
    for number, batch in enumerate(read(path)):
        (memory,) = pairs(clip, number)
        assert (batch.signal.subsampling, batch.signal.bit_depth) == (Subsampling.YUV422, 8)
        np.testing.assert_array_equal(batch.luma[0].numpy(), memory[:, order.index("Y") :: 2])
        np.testing.assert_array_equal(batch.cb[0].numpy(), memory[:, order.index("U") :: 4])
        np.testing.assert_array_equal(batch.cr[0].numpy(), memory[:, order.index("V") :: 4])


def test_dv_of_525_lines_is_read_with_its_chroma_at_the_left(tmp_path):
    clip = replace(NTSC_DV, tags=UNTAGGED, colour_range=0)
    path = write_clip(tmp_path / "a.dv", clip)
    batches = read(path, ReadOptions(deinterlace="off"))
    assert [len(batch.timeline) for batch in batches] == [1, 1, 1]
    for batch, frame in zip(batches, decoded(path), strict=True):
        signal = batch.signal
        assert (signal.subsampling, signal.siting) == (Subsampling.YUV411, ChromaSiting.LEFT)
        for plane, reference in zip((batch.luma, batch.cb, batch.cr), frame.planes, strict=True):
            memory = np.frombuffer(reference, np.uint8).reshape(-1, reference.line_size)
            rows, columns = plane.shape[1:]
            np.testing.assert_array_equal(plane[0].numpy(), memory[:rows, :columns])


def test_high_bytes_that_come_first_are_high_bytes(tmp_path):
    clip = Clip(codec="png", pixel_format="gray16be", pts=range(2))
    (first, _) = read(write_clip(tmp_path / "a.avi", clip, random_planes))
    np.testing.assert_array_equal(first.luma[0].numpy(), random_planes(clip, 0)[0].byteswap())
    assert first.signal.bit_depth == 16


@pytest.mark.parametrize(("pixel_format", "neutral"), [("gray", 128), ("gray10le", 512)])
def test_grey_gets_neutral_chroma(tmp_path, pixel_format, neutral):
    clip = Clip(pixel_format=pixel_format, pts=range(2))
    (first, _) = read(write_clip(tmp_path / "a.mkv", clip, random_planes))
    np.testing.assert_array_equal(first.luma[0].numpy(), random_planes(clip, 0)[0])
    assert bool((first.cb.to(torch.int32) == neutral).all())
    assert bool((first.cr.to(torch.int32) == neutral).all())


@pytest.mark.parametrize(
    ("pixel_format", "codec", "plain"),
    [
        ("pal8", "png", "rgb24"),
        ("monob", "png", "gray"),
        ("monow", "rawvideo", "gray"),
        ("ya16be", "png", "gray16le"),
    ],
)
def test_palettes_and_bits_are_what_they_stand_for(tmp_path, pixel_format, codec, plain):
    path, random = tmp_path / "a.nut", np.random.default_rng(3)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 14, 6, pixel_format
        frame = av.VideoFrame(14, 6, pixel_format)
        for plane in frame.planes:
            plane.update(random.bytes(plane.buffer_size))
        container.mux([*video.encode(frame), *video.encode(None)])
    (first,) = read(path)
    (reference,) = decoded(path)
    assert reference.format.name == pixel_format
    expected = reference.reformat(format=plain).to_ndarray()
    found = first.luma[0].numpy()
    if plain == "rgb24":
        found = torch.stack((first.cr, first.luma, first.cb), -1)[0].numpy()
    else:
        neutral = 1 << (first.signal.bit_depth - 1)
        assert {*first.cb.flatten().tolist(), *first.cr.flatten().tolist()} == {neutral}
    assert first.signal.colour_range is ColourRange.FULL
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(found, expected)


def test_pixel_format_that_cannot_be_read_is_named(tmp_path):
    path = write_clip(tmp_path / "a.mkv", Clip(pixel_format="yuv410p"), random_planes)
    with pytest.raises(InputError, match="yuv410p"):
        probe(path, ReadOptions())


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_every_frame_comes_with_its_time(tmp_path, suffix):
    path = write_clip(tmp_path / f"a.{suffix}", H264)
    reference = decoded(path)
    batches = read(path, ReadOptions(batch_frames=7))
    assert [time.pts for time in times(batches)] == [frame.pts for frame in reference]
    expected = np.stack([frame.to_ndarray()[:48] for frame in reference])
    np.testing.assert_array_equal(lumas(batches).numpy(), expected)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_rate_times_are_exact(tmp_path, suffix):
    clip = replace(H264, pts=IRREGULAR, time_base=Fraction(1, 1000))
    path = write_clip(tmp_path / f"a.{suffix}", clip)
    info = probe(path, ReadOptions())
    found = times(read(path))
    tick_ms = info.video.time_base * 1000
    assert [time.pts * tick_ms for time in found] == list(IRREGULAR)
    steps = np.diff(IRREGULAR)
    assert [time.duration * tick_ms for time in found[:-1]] == steps.tolist()
    assert found[-1].duration > 0
    assert info.video.variable_rate is True


def test_range_is_exact_to_the_frame_at_every_start(tmp_path):
    for suffix in ("mp4", "ts"):
        path = write_clip(tmp_path / f"a.{suffix}", H264)
        whole = read(path)
        start_seconds = probe(path, ReadOptions()).start_seconds
        all_lumas, all_times = lumas(whole), times(whole)
        base = whole[0].timeline.time_base
        for first in range(0, 40, 3):
            start = float(all_times[first].pts * base - start_seconds)
            end = float(all_times[min(first + 5, 39)].pts * base - start_seconds)
            if end <= start:
                continue
            part = read(path, in_seconds(start, end))
            last = min(first + 5, 39)
            assert times(part) == all_times[first:last]
            assert torch.equal(lumas(part), all_lumas[first:last])


def test_range_between_frames_begins_with_the_next(tmp_path):
    path = write_clip(tmp_path / "a.mp4", H264)
    found = times(read(path, in_seconds(0.41, 0.53)))
    base = probe(path, ReadOptions()).video.time_base
    assert [time.pts * base for time in found] == [Fraction(n, 25) for n in (11, 12, 13)]


def test_range_without_frames_is_empty(tmp_path):
    path = write_clip(tmp_path / "a.mp4", H264)
    assert read(path, in_seconds(100.0, None)) == []


def test_transport_stream_range_counts_from_its_own_start(tmp_path):
    path = write_clip(tmp_path / "a.ts", replace(H264, muxer_options={"output_ts_offset": "1095"}))
    info = probe(path, ReadOptions())
    assert info.start_seconds > 1000
    assert len(times(read(path, in_seconds(0.0, 0.2)))) == 5


def test_stream_without_timestamps_gets_the_frame_rate(tmp_path):
    path = write_clip(tmp_path / "a.h264", replace(H264, muxer="h264", pts=range(10)))
    options = ReadOptions()
    with VideoReader(probe(path, options), options) as reader:
        found = times(list(reader))
        assert any("timestamp" in notice.text for notice in reader.notices)
    base = reader.time_base
    assert [time.pts * base for time in found] == [Fraction(n, 25) for n in range(10)]


def test_one_frame(tmp_path):
    path = write_clip(tmp_path / "a.mp4", replace(H264, pts=(0,), width_px=16, height_px=16))
    (batch,) = read(path)
    assert batch.luma.shape == (1, 16, 16)
    assert batch.timeline.frames[0].duration * batch.timeline.time_base == Fraction(1, 25)


def test_reading_closes_early_without_harm(tmp_path):
    path = write_clip(tmp_path / "a.mp4", H264)
    options = ReadOptions()
    with VideoReader(probe(path, options), options) as reader:
        first = next(iter(reader))
    assert first.luma.shape == (1, 48, 64)


def test_chosen_stream_is_read(tmp_path):
    path = tmp_path / "a.mkv"
    clips = (Clip(width_px=64), Clip(width_px=32))
    with av.open(str(path), "w") as out:
        streams = [add_video(out, clip) for clip in clips]
        for stream, clip in zip(streams, clips, strict=True):
            encode_video(out, stream, clip)
    assert read(path)[0].luma.shape[2] == 64
    assert read(path, ReadOptions(video_stream=1))[0].luma.shape[2] == 32


class TestDamage:
    @pytest.fixture(params=[1, 3])
    def threads(self, request):
        return request.param

    def test_broken_packets_are_counted_and_the_rest_is_read(self, tmp_path, threads):
        path = write_clip(tmp_path / "a.mp4", H264)
        whole = {time.pts for time in times(read(path))}
        spoil(path, [12, 37])
        options = ReadOptions(threads=threads)
        with VideoReader(probe(path, options), options) as reader:
            found = [time.pts for time in times(list(reader))]
            damage = reader.damage
        assert damage.frames_lost + damage.frames_corrupt == 2
        assert damage.frames_lost == 40 - len(found)
        assert damage.first_time_seconds == pytest.approx(0.48, abs=0.13)
        assert set(found) <= whole

    def test_strict_makes_it_an_error(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", H264)
        spoil(path, [12])
        with pytest.raises(InputError, match=r"at 0\.\d+ s.*--strict"):
            read(path, ReadOptions(strict=True))

    def test_strict_lets_a_whole_file_pass(self, tmp_path):
        assert len(read(write_clip(tmp_path / "a.mp4", H264), ReadOptions(strict=True))) == 40

    def test_concealed_damage_counts(self, tmp_path):
        clip = Clip(codec="mpeg2video", options={"b": "3M", "g": "10"}, width_px=160, height_px=128)
        path = write_clip(tmp_path / "a.mkv", clip, random_planes)
        data = bytearray(path.read_bytes())
        position, size = packet_places(path)[4]
        noise = np.random.default_rng(0).integers(0, 256, size // 2).astype(np.uint8)
        data[position + size - len(noise) : position + size] = noise.tobytes()
        path.write_bytes(data)
        options = ReadOptions()
        with VideoReader(probe(path, options), options) as reader:
            assert len(times(list(reader))) == 8
            assert reader.damage.frames_corrupt >= 1

    def test_damage_before_a_range_is_not_counted(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", H264)
        spoil(path, [4])
        options = in_seconds(1.0, None)
        with VideoReader(probe(path, options), options) as reader:
            assert len(times(list(reader))) == 15
            assert not reader.damage

    def test_damaged_beginning_does_not_stop_the_probe(self, tmp_path):
        path = write_clip(tmp_path / "a.mp4", H264)
        spoil(path, [0, 1, 2])
        options = ReadOptions()
        info = probe(path, options)
        assert info.video.width_px == 64
        with VideoReader(info, options) as reader:
            assert len(times(list(reader))) >= 30


def test_change_of_size_is_an_error_that_says_where(tmp_path):
    path = tmp_path / "a.ts"
    small = replace(H264, pts=range(10))
    parts = (small, replace(small, width_px=96))
    data = b""
    for number, clip in enumerate(parts):
        part = write_clip(
            tmp_path / f"{number}.ts",
            replace(clip, muxer_options={"output_ts_offset": str(number * 0.48)}),
        )
        data += part.read_bytes()
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"at 0\.4\d* s from 64x48 .* to 96x48"):
        read(path)
    assert len(times(read(path, in_seconds(0.0, 0.35)))) == 9
    assert [time.pts for time in times(read(path, in_seconds(None, 0.4)))] == [
        time.pts for time in times(read(tmp_path / "0.ts"))
    ]


@pytest.mark.parametrize(
    ("transfer", "name"), [(16, r"PQ \(SMPTE ST 2084\)"), (18, r"HLG \(ARIB STD-B67\)")]
)
def test_a_video_that_becomes_hdr_is_refused_with_where_it_does(tmp_path, transfer, name):
    # A recording that goes from one programme to the next: one shape, and another VUI.
    sdr = Clip("libx264", options={"bf": "0"}, pts=range(10))
    hdr = replace(sdr, tags=(9, transfer, 9), pts=range(10, 20))
    path = tmp_path / "a.ts"
    parts = [write_clip(tmp_path / f"{clip.tags[1]}.ts", clip) for clip in (sdr, hdr)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(AlreadyHdrError, match=rf"becomes {name} at 0\.400 s; .*--transfer.*--end"):
        read(path)
    # What the message advises.
    assert len(times(read(path, in_seconds(None, 0.4)))) == 10
    options = ReadOptions(colour=ColourOverrides(transfer=Transfer.BT1886))
    with VideoReader(probe(path, options), options) as reader:
        assert len(times(list(reader))) == 20
        (notice,) = reader.notices
    assert "colour tags change at 0.400 s" in notice.text


def test_frames_are_copies(tmp_path):
    path = write_clip(tmp_path / "a.mkv", Clip(pts=range(4)), random_planes)
    batches = read(path)
    before = batches[0].luma.clone()
    batches[1].luma.zero_()
    assert torch.equal(batches[0].luma, before)


def test_another_pixel_aspect_on_the_way_is_told(tmp_path):
    # Broadcasts go from 4:3 to 16:9 and back; MPEG-TS says nothing of it, the video does.
    def part(name: str, first: int, aspect: Fraction) -> bytes:
        def set_aspect(stream) -> None:
            stream.codec_context.sample_aspect_ratio = aspect

        clip = Clip("mpeg2video", pts=range(first, first + 20), set_up=set_aspect)
        return write_clip(tmp_path / name, clip).read_bytes()

    path = tmp_path / "both.ts"
    path.write_bytes(part("a.ts", 0, Fraction(1)) + part("b.ts", 20, Fraction(4, 3)))
    options = ReadOptions()
    with VideoReader(probe(path, options), options) as reader:
        list(reader)
        (text,) = [notice.text for notice in reader.notices if "aspect" in notice.text]
    assert re.search(r"is 4:3 at 0\.\d+ s; the whole video is written with 1:1", text)


def test_one_pixel_aspect_is_not_worth_a_word(tmp_path):
    path = write_clip(tmp_path / "a.ts", Clip("mpeg2video"))
    options = ReadOptions()
    with VideoReader(probe(path, options), options) as reader:
        list(reader)
        assert not any("aspect" in notice.text for notice in reader.notices)
