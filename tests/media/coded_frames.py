"""Write a few known frames with any encoder, for tests that read them back."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import torch
from whole_film import write_film

from sdr2hdr.frames import CodedBatch, FrameTime, Timeline
from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.encoding.encoders import output_signal
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import EncodeOptions, ReadOptions, TimeRange
from sdr2hdr.signal import CodedSignal

CLOCK = Fraction(1, 30000)
RATE = Fraction(30000, 1001)
SIZE = (144, 256)
"""Height and width, px; DNxHR takes no less than 256x120."""


def ramp_planes(signal: CodedSignal, size: tuple[int, int], number: int) -> list[torch.Tensor]:
    """Y', Cb, Cr with a slope of their own each, (1, H, W) of uint16."""
    height, width = size
    chroma = (height // signal.subsampling.vertical, width // signal.subsampling.horizontal)

    def slope(rows: int, columns: int, low: int, high: int, turned: bool) -> torch.Tensor:
        across = torch.linspace(low, high, rows if turned else columns).round().to(torch.int32)
        plane = across[:, None].expand(rows, columns) if turned else across.expand(rows, columns)
        return (plane + number).to(torch.uint16)[None].contiguous()

    return [
        slope(height, width, 64, 700, False),
        slope(*chroma, 400, 600, False),
        slope(*chroma, 400, 600, True),
    ]


def write_frames(
    source: Path,
    target: Path,
    options: EncodeOptions,
    frames: int = 3,
    size: tuple[int, int] = SIZE,
    **video: object,
) -> list[list[torch.Tensor]]:
    """Write ramps in the encoder's own signal, a 1001/30000 s each; give back their planes."""
    info = probe(source, ReadOptions())
    plan = plan_streams(info, target, options, TimeRange())
    signal = output_signal(options, target)
    described = OutputVideo(size[1], size[0], CLOCK, RATE, signal=signal, **video)  # type: ignore[arg-type]
    batches = []
    for number in range(frames):
        timeline = Timeline(CLOCK, (FrameTime(1001 * number, 1001),))
        batches.append(CodedBatch(*ramp_planes(signal, size, number), signal, timeline))
    write_film(target, info, plan, options, described, batches)
    return [[batch.luma[0], batch.cb[0], batch.cr[0]] for batch in batches]
