"""PCM that is wrapped for a disc or a line arrives as plain PCM, sample for sample."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from sdr2hdr import ConvertOptions, convert
from sdr2hdr.errors import OutputError
from sdr2hdr.media.copying.linear_pcm import plain_samples
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange

FAST = EncodeOptions(preset="ultrafast")
RATE = 48_000
SAMPLES_PER_FRAME = 480
FRAMES = 10
"""Of video, and ten times as many of sound: 0.4 s of one, 1 s of the other."""


def source(path: Path, codec: str, sample_format: str, layout: str = "stereo") -> Path:
    """Pictures, and noise in all bits that the codec keeps."""
    random = np.random.default_rng(5)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout=layout)
        sound.codec_context.format = sample_format
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(
                np.full((72, 64), 40 + 10 * number, np.uint8), format="yuv420p"
            )
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode())
        for number in range(10 * FRAMES):
            shape = (1, sound.layout.nb_channels * SAMPLES_PER_FRAME)
            codes = random.integers(-(1 << 31), 1 << 31, shape, dtype=np.int64) >> 8 << 8
            samples = codes >> 16 if sample_format == "s16" else codes
            dtype = np.int16 if sample_format == "s16" else np.int32
            frame = av.AudioFrame.from_ndarray(
                samples.astype(dtype), format=sample_format, layout=layout
            )
            frame.sample_rate, frame.pts = RATE, number * SAMPLES_PER_FRAME
            frame.time_base = Fraction(1, RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def samples_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        found = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize(
    ("container", "codec", "sample_format", "plain"),
    [
        ("m2ts", "pcm_bluray", "s16", "pcm_s16le"),
        ("m2ts", "pcm_bluray", "s32", "pcm_s24le"),
        ("vob", "pcm_dvd", "s16", "pcm_s16le"),
    ],
)
def test_every_sample_arrives(
    tmp_path: Path, suffix: str, container: str, codec: str, sample_format: str, plain: str
):
    path = source(tmp_path / f"in.{container}", codec, sample_format)
    out = tmp_path / f"out{suffix}"
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    with av.open(str(out)) as written:
        assert written.streams.audio[0].codec_context.name == plain
        assert written.streams.audio[0].layout.nb_channels == 2
    expected = samples_of(path)
    assert expected.shape[1] > 40_000
    assert np.array_equal(samples_of(out), expected)


def line(path: Path, samples: np.ndarray) -> Path:
    """A transport stream with the sound of a contribution line (SMPTE ST 302), of 24 bits.

    Args:
        path: To write.
        samples: Of shape (samples, channels), 24 bits each.
    """
    count, channels = samples.shape
    # In the order of transmission, which is that of AES3: the lowest bit of a sample first.
    bits = np.zeros((count, channels, 28), np.uint8)
    bits[..., :24] = samples[..., None] >> np.arange(24) & 1
    coded = np.packbits(bits.reshape(FRAMES, -1), axis=1)
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg2video", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_mux_stream("s302m", rate=RATE)
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), 90, np.uint8), format="yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(video.encode(picture))
            head = coded.shape[1] << 16 | (channels // 2 - 1) << 14 | 2 << 4
            packet = av.Packet(head.to_bytes(4, "big") + coded[number].tobytes())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 25), sound
            container.mux(packet)
        container.mux(video.encode())
    return path


@pytest.mark.parametrize(
    ("suffix", "channels"), [(".mkv", 2), (".mp4", 2), (".mov", 2), (".mkv", 8), (".mov", 8)]
)
def test_every_sample_of_a_contribution_line_arrives(tmp_path: Path, suffix: str, channels: int):
    random = np.random.default_rng(6)
    samples = random.integers(0, 1 << 24, (FRAMES * RATE // 25, channels), dtype=np.int64)
    path, out = line(tmp_path / "in.ts", samples), tmp_path / f"out{suffix}"
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    with av.open(str(out)) as written:
        assert written.streams.audio[0].codec_context.name == "pcm_s24le"
    # libavcodec has 24 bits in the upper ones of 32.
    found = samples_of(out).view(np.uint32).reshape(-1, channels) >> 8
    np.testing.assert_array_equal(found, samples)


def test_mp4_is_told_to_hold_no_channels_that_nobody_knows(tmp_path: Path):
    path = line(tmp_path / "in.ts", np.zeros((FRAMES * RATE // 25, 8), np.int64))
    info = probe(path, ReadOptions())
    with pytest.raises(OutputError, match=r"s302m audio is not written into MP4\. Choose"):
        plan_streams(info, tmp_path / "out.mp4", FAST, TimeRange())


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2)])
def test_g711_of_bare_channels_goes_into_mp4(tmp_path: Path, layout: str, channels: int):
    path, out = source(tmp_path / "in.avi", "pcm_alaw", "s16", layout), tmp_path / "out.mp4"
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    with av.open(str(out)) as written:
        assert written.streams.audio[0].layout.nb_channels == channels
    np.testing.assert_array_equal(samples_of(out), samples_of(path))


def test_g711_is_made_plain_only_where_it_cannot_stay(tmp_path: Path):
    path = source(tmp_path / "in.avi", "pcm_mulaw", "s16")
    info = probe(path, ReadOptions())
    plans = {
        suffix: plan_streams(info, tmp_path / f"out{suffix}", FAST, TimeRange())
        for suffix in (".mkv", ".mov")
    }
    actions = {suffix: made.streams[1] for suffix, made in plans.items()}
    assert (actions[".mov"].action, actions[".mov"].codec) == ("copy", "pcm_mulaw")
    assert actions[".mkv"].line.endswith("converted to pcm_s16le")
    assert [notice.severity for notice in plans[".mkv"].notices] == ["notice"]
    assert plans[".mkv"].notices[0].text == f"Stream {actions['.mkv'].line}."
    assert plans[".mov"].notices == ()
    out = tmp_path / "out.mkv"
    convert(path, out, ConvertOptions("bt2408", encode=FAST))
    assert np.array_equal(samples_of(out), samples_of(path))


def test_a_part_holds_the_sound_of_the_part(tmp_path: Path):
    path, out = source(tmp_path / "in.m2ts", "pcm_bluray", "s16"), tmp_path / "out.mkv"
    read = ReadOptions(time_range=TimeRange(0.2, 0.3))
    convert(path, out, ConvertOptions("bt2408", encode=FAST, read=read))
    whole, part = samples_of(path), samples_of(out)
    # Packets are kept whole; each has 480 samples of two channels.
    start = next(
        place
        for place in range(0, whole.shape[1], 2)
        if np.array_equal(whole[:, place : place + part.shape[1]], part)
    )
    assert start / 2 / RATE == pytest.approx(0.2, abs=0.011)
    assert part.shape[1] / 2 / RATE == pytest.approx(0.1, abs=0.021)


@pytest.mark.parametrize("channels", [1, 6])
def test_another_number_of_channels_is_not_taken_apart_wrongly(tmp_path: Path, channels: int):
    path = source(tmp_path / "in.m2ts", "pcm_bluray", "s16")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        # A header of four bytes comes before the samples.
        assert len(plain_samples(packets[0], 2)) == packets[0].size - 4
        assert plain_samples(packets[1], channels) == b""
