"""Smooth the bands of an 8-bit source: its codes go on at 16 bits, with values between them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat
from av.video.frame import VideoFrame

from sdr2hdr.errors import Notice
from sdr2hdr.media.planes import Planes
from sdr2hdr.media.source import VideoInfo
from sdr2hdr.signal import CodedSignal, ColourRange, Matrix

__all__ = ["Debander", "deband_notice", "read_signal"]

SOURCE_BITS = 8
"""Depth of what is smoothed: neighbouring codes of 10 bits come out 2 codes apart at most."""

BITS = 16
"""Depth of what comes out: every pass rounds its means down, and that must not darken."""

STEP_CODES = 1.25
"""How far the samples around may be from one, in its own 8-bit codes, for it to be taken for part
of a shallow slope: one code. With two, grain of one code rms would lose a fifth of it."""

RANGES_PX = (16, 32, 64)
"""How far the passes look, the near one first: what it has made of narrow bands leaves the far ones
less to do, and these reach into bands of up to a hundred samples."""


def read_signal(video: VideoInfo, *, deband: bool) -> CodedSignal:
    """What the codes mean that a reader gives.

    Args:
        video: The stream.
        deband: Whether bands are to be smoothed.
    """
    signal = video.colour.signal
    is_smoothed = deband and signal.bit_depth == SOURCE_BITS
    return replace(signal, bit_depth=BITS) if is_smoothed else signal


def deband_notice(video: VideoInfo, *, deband: bool) -> Notice | None:
    """What the user should know who has asked for smooth bands; None for others."""
    if not deband:
        return None
    depth = video.colour.signal.bit_depth
    if depth != SOURCE_BITS:
        text = (
            f"--deband changes nothing: it is for {SOURCE_BITS}-bit video; this has {depth} bits."
        )
        return Notice("notice", text)
    return Notice("notice", "Steps of one 8-bit code between flat areas are smoothed (--deband).")


class Debander:
    """Smooths frames one by one; what becomes of one depends on no other, nor on threads.

    A sample becomes the mean of four around it, at a distance and an angle that are a fixed
    function of its place, if all four are within one code of it; in several passes. So a step of
    one code between flat areas becomes a slope of finely mixed values, while edges, texture and
    grain of more than a code stay as they are.

    Args:
        signal: What the 8-bit codes of the source mean.
        threads: Of the filter; None takes all cores.
    """

    def __init__(self, signal: CodedSignal, threads: int | None) -> None:
        is_full = signal.colour_range is ColourRange.FULL
        # H.273, clause 8.3: the highest code of full range is white at every depth; limited range
        # has its codes shifted. Full-range chroma is counted from neutral, 128 and 32768.
        self._unit = 257 if is_full else 256
        self._luma_codes = (np.arange(256) * self._unit).astype(np.uint16)
        self._chroma_codes = self._luma_codes
        if is_full and signal.matrix is not Matrix.RGB:
            codes = (np.arange(256) - 128) * self._unit + 32768
            self._chroma_codes = codes.clip(min=0).astype(np.uint16)
        self._threads = threads or 0
        self._graphs: dict[tuple[int, ...], Graph] = {}

    def debanded(self, planes: Planes) -> Planes:
        """Smooth the planes of a frame.

        Args:
            planes: uint8.

        Returns:
            uint16, of 16 bits: what was not smoothed stands for exactly what it did, but for the
            lowest code of full-range chroma, below which 16 bits end sooner.
        """
        return Planes(
            self._smoothed(planes.luma, self._luma_codes),
            self._smoothed(planes.cb, self._chroma_codes),
            self._smoothed(planes.cr, self._chroma_codes),
        )

    def _smoothed(self, plane: np.ndarray, codes: np.ndarray) -> np.ndarray:
        wide = codes[plane]
        graph = self._graphs.get(plane.shape)
        if graph is None:
            graph = self._graphs[plane.shape] = self._graph(*plane.shape)
        graph.vpush(VideoFrame.from_ndarray(wide, format="gray16le"))
        # A copy, which does not lie in libav's memory.
        return np.array(graph.vpull().to_ndarray(), order="C", copy=True)

    def _graph(self, height: int, width: int) -> Graph:
        """The passes over planes of a size, each taken for a grey picture: they do not mix."""
        graph = Graph()
        graph.threads = self._threads
        nodes = [
            graph.add_buffer(
                width=width,
                height=height,
                format=VideoFormat("gray16le", width, height),
                time_base=Fraction(1, 25),
            )
        ]
        threshold = STEP_CODES * self._unit / ((1 << BITS) - 1)
        for range_px in RANGES_PX:
            # blur=0: all four samples must be near, not their mean alone.
            options = {"1thr": f"{threshold:.8f}", "range": str(range_px), "blur": "0"}
            nodes.append(graph.add("deband", **options))
        graph.link_nodes(*nodes, graph.add("buffersink"))
        graph.configure()
        return graph
