"""Sound whose channels have an order of their own, as film mixes in QuickTime files have."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from rich_sources import FAST

from sdr2hdr.media.copying.stream_plan import plan_streams
from sdr2hdr.media.reading.probe import probe
from sdr2hdr.options import ReadOptions, TimeRange

USUAL_ORDER, FILM_ORDER = 121 << 16 | 6, 123 << 16 | 6
"""Tags of Core Audio: MPEG_5_1_A is L R C LFE Ls Rs, MPEG_5_1_C is L C R Ls Rs LFE."""
FILM = "FL+FC+FR+SL+SR+LFE"

DESCRIBE = """
import sys
from pathlib import Path
from sdr2hdr.media.opening import open_input
from sdr2hdr.media.reading.streams import describe_streams
for _ in range(8):
    with open_input(Path(sys.argv[1])) as container:
        described = describe_streams(container)
print(described[1].summary)
"""


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mov"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        sound = out.add_stream("pcm_s16le", rate=48000, layout="5.1(side)")
        for number in range(5):
            picture = av.VideoFrame(64, 48, "yuvj420p")
            picture.pts, picture.time_base = number, Fraction(1, 25)
            out.mux(video.encode(picture))
        silence = np.zeros((1, 6 * 9600), np.int16)
        samples = av.AudioFrame.from_ndarray(silence, format="s16", layout="5.1(side)")
        samples.sample_rate = 48000
        out.mux(video.encode(None))
        out.mux(sound.encode(samples))
        out.mux(sound.encode(None))
    data = path.read_bytes()
    # `chan`: version and flags, then the tag (QuickTime File Format Specification).
    place = data.index(b"chan") + 8
    assert data[place : place + 4] == USUAL_ORDER.to_bytes(4, "big")
    path.write_bytes(data[:place] + FILM_ORDER.to_bytes(4, "big") + data[place + 4 :])
    return path


def test_it_is_described_and_the_heap_stays_whole(film: Path):
    command = [sys.executable, "-c", DESCRIBE, str(film)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"pcm_s16le, 48000 Hz, 6 channels ({FILM})"


def test_the_order_is_kept_or_told(film: Path):
    info = probe(film, ReadOptions())
    told = {
        suffix: [
            notice.text
            for notice in plan_streams(info, film.with_suffix(suffix), FAST, TimeRange()).notices
        ]
        for suffix in (".mkv", ".mov", ".mp4")
    }
    assert len(told[".mkv"]) == 1 and FILM in told[".mkv"][0]
    assert told[".mov"] == told[".mp4"] == []
