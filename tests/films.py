"""A film of several shots, joined from real clips: what a long run is tried on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from clips import mux_tone

RATE = 25


def join_clips(
    clips: Sequence[Path],
    film: Path,
    width_px: int = 480,
    height_px: int = 270,
    most_frames_a_clip: int = 250,
) -> Path:
    """Decode clips, bring them to one size, and encode them one after the other, with a tone.

    The film has what makes a decoder's life hard: B-frames and open groups of pictures.

    Args:
        clips: In the order of the film.
        film: Where to write it, as MP4 or Matroska.
        width_px: Of the film, even; likewise `height_px`.
        most_frames_a_clip: Where longer clips end.
    """
    with av.open(str(film), "w") as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = width_px, height_px, "yuv420p"
        context = video.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1
        context.color_range = 1
        context.options = {"crf": "20", "x264-params": "open-gop=1:keyint=50:bframes=3:threads=1"}
        audio = container.add_stream("aac", rate=48000)
        frames = 0
        for clip in clips:
            for picture in islice(_pictures(clip), most_frames_a_clip):
                frame = picture.reformat(width_px, height_px, "yuv420p", dst_colorspace=1)
                frame.pts, frame.time_base = frames, Fraction(1, RATE)
                frame.pict_type = 0
                container.mux(video.encode(frame))
                frames += 1
        container.mux(video.encode(None))
        mux_tone(container, audio, frames / RATE)
    return film


def _pictures(clip: Path) -> Iterator[av.VideoFrame]:
    with av.open(str(clip)) as container:
        yield from container.decode(video=0)
