"""Small PQ clips with known pixels, and readers that owe nothing to the package."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import Type

from sdr2hdr.media.bitstreams.hdr10_sei import HdrSei, content_light_payload
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.hdr10.hdr10_remux import remux_hdr10
from sdr2hdr.media.hdr10.hdr_source import probe_hdr
from sdr2hdr.media.mastering import P3_D65_1000
from sdr2hdr.options import EncodeOptions, TimeRange

PLACEHOLDER = 32639
PQ_BT2020 = (9, 16, 9)
KEY_EVERY = 4

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class PqClip:
    """How a clip is made; lossless where the codec can be.

    Attributes:
        tags: H.273 primaries, transfer, matrix; None leaves the stream untagged.
    """

    width_px: int = 128
    height_px: int = 96
    codec: str = "libx265"
    tags: tuple[int, int, int] | None = None
    params: str = ""
    audio: bool = False
    bframes: int = 2


def pq_light(code: int) -> float:
    """Light of a 10-bit limited-range PQ code, cd/m2, by the formula as BT.2100 prints it."""
    signal = min(max((code - 64) / 876, 0.0), 1.0)
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return 10_000 * (max(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1)


def grey(clip: PqClip, luma: np.ndarray) -> Planes:
    """A neutral 4:2:0 frame of these luma codes."""
    chroma = np.full((clip.height_px // 2, clip.width_px // 2), 512, np.uint16)
    return luma.astype(np.uint16), chroma, chroma


def flat_frames(clip: PqClip, codes: Sequence[int]) -> list[Planes]:
    """Frames of one grey each."""
    size = (clip.height_px, clip.width_px)
    return [grey(clip, np.full(size, code)) for code in codes]


def make_pq(path: Path, clip: PqClip, frames: Sequence[Planes]) -> Path:
    """Write the frames at 25 fps, a key frame every four."""
    with av.open(str(path), "w") as container:
        options = {"preset": "10", "svtav1-params": f"keyint={KEY_EVERY}:lp=1"}
        if clip.codec == "libx265":
            params = (
                f"log-level=error:pools=1:frame-threads=1:lossless=1:keyint={KEY_EVERY}"
                f":min-keyint={KEY_EVERY}:scenecut=0:open-gop=0:bframes={clip.bframes}"
            )
            options = {
                "preset": "ultrafast",
                "x265-params": ":".join(filter(None, (params, clip.params))),
            }
        video = container.add_stream(clip.codec, rate=Fraction(25), options=options)
        video.width, video.height, video.pix_fmt = clip.width_px, clip.height_px, "yuv420p10le"
        if clip.tags is not None:
            context = video.codec_context
            context.color_primaries, context.color_trc, context.colorspace = clip.tags
            context.color_range = 1
        sound = container.add_stream("aac", rate=48000) if clip.audio else None
        for number, planes in enumerate(frames):
            frame = av.VideoFrame(clip.width_px, clip.height_px, "yuv420p10le")
            for plane, codes in zip(frame.planes, planes, strict=True):
                rows = np.frombuffer(memoryview(plane), "<u2").reshape(-1, plane.line_size // 2)
                rows[: codes.shape[0], : codes.shape[1]] = codes
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            tone = np.sin(np.arange(48000 * len(frames) // 25) * 0.05).astype(np.float32)
            block = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            block.sample_rate = 48000
            container.mux(sound.encode(block))
            container.mux(sound.encode(None))
    return path


def with_placeholders(source: Path, target: Path, *, light: bool = True) -> Path:
    """A copy that says 32639 for both light levels wherever it can."""
    found = probe_hdr(source, assume_pq=True)
    plan = plan_streams(found.info, target, EncodeOptions(), TimeRange())
    payload = content_light_payload(PLACEHOLDER, PLACEHOLDER) if light else None
    remux_hdr10(found, plan, target, HdrSei(P3_D65_1000.mdcv_payload(), payload))
    return target


def packets(path: Path, kind: str = "video") -> list[tuple[Fraction | None, bool, bytes]]:
    """Presentation time, key flag and bytes of every packet of the first stream of a kind."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams if s.type == kind)
        return [
            (None if p.pts is None else p.pts * p.time_base, p.is_keyframe, bytes(p))
            for p in container.demux(stream)
            if p.size
        ]


def decoded_levels(path: Path, *, every: bool = False) -> set[tuple[int, int] | None]:
    """MaxCLL and MaxFALL of the decoded key frames (or of all frames)."""
    found: set[tuple[int, int] | None] = set()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if every or frame.key_frame:
                data = [d for d in frame.side_data if d.type is Type.CONTENT_LIGHT_LEVEL]
                found.add(struct.unpack("=2I", bytes(data[0])) if data else None)
    return found


def slices(packet: bytes, length_size: int) -> list[bytes]:
    """The coded slices of an HEVC packet, however it is framed."""
    units = []
    if length_size:
        position = 0
        while position < len(packet):
            size = int.from_bytes(packet[position : position + length_size], "big")
            units.append(packet[position + length_size :][:size])
            position += length_size + size
    else:
        units = [unit.rstrip(b"\0") for unit in packet.split(b"\0\0\1")[1:]]
    return [unit for unit in units if unit[0] >> 1 & 0x3F < 32]
