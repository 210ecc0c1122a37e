"""How exact segment boundaries are, for every kind of source of `test_frame_range`; a program::

    python tests/media/boundary_table.py [CLIP]...

For each kind, and each clip that is named, reading begins at every frame (of a clip: at every
fifth) as a segment would, and three frames are compared with those of a pass over the whole: time,
duration and every sample. The last column says how many of these starts decoded from the beginning
of the file, because no key frame near by leads to the same pictures.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from test_frame_range import KINDS, read

from sdr2hdr.frames import CodedBatch
from sdr2hdr.media.reading.decoding import Decoder
from sdr2hdr.media.reading.frame_range import Approach, FrameRange, frame_fingerprint
from sdr2hdr.options import ReadOptions

LENGTH = 3


def are_equal(one: CodedBatch, other: CodedBatch) -> bool:
    """Whether frames are the same: times, durations and samples."""
    planes = ("luma", "cb", "cr")
    return one.timeline == other.timeline and all(
        torch.equal(getattr(one, plane), getattr(other, plane)) for plane in planes
    )


def row(name: str, path: Path, step: int) -> str:
    """A line of the table."""
    options = ReadOptions(threads=2)
    whole, reader = read(path, options)
    exact = beginnings = 0
    starts = range(0, len(whole), step)
    usual = Decoder._begin
    for first in starts:
        last = first + LENGTH
        wanted = FrameRange(
            whole[first].timeline.frames[0].pts,
            whole[last].timeline.frames[0].pts if last < len(whole) else None,
            frame_fingerprint(whole[first]),
            Approach.to_parts(
                has_repaired_times=reader.has_repaired_times,
                has_joined_clocks=reader.has_joined_clocks,
            ),
        )
        begun: list[Decoder] = []

        def begin(decoder: Decoder, begun: list[Decoder] = begun) -> None:
            begun.append(decoder)
            usual(decoder)

        Decoder._begin = begin
        try:
            part, _ = read(path, options, wanted)
        finally:
            Decoder._begin = usual
        expected = whole[first:last]
        exact += len(part) == len(expected) and all(map(are_equal, part, expected))
        beginnings += bool(begun)
    return f"| {name} | {len(whole)} | {exact} of {len(starts)} | {beginnings} |"


def main(clips: Sequence[str]) -> None:
    """Print the table."""
    os.environ.setdefault("SVT_LOG", "1")
    print("| source | frames | exact starts | from the beginning |")
    print("| --- | --- | --- | --- |", flush=True)
    for kind, make in KINDS.items():
        with tempfile.TemporaryDirectory() as folder:
            print(row(kind, make(Path(folder)), 1), flush=True)
    for clip in map(Path, clips):
        print(row(clip.name, clip, 5), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
