"""What lossy coding does to one picture: encode it, decode it, hand it back.

Planes are 8-bit 4:2:0, the format all three codecs share.
"""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from sdr2hdr.media.planes import Planes

__all__ = ["h264_qp_round_trip", "h264_round_trip", "jpeg_round_trip", "mpeg2_round_trip"]


def h264_round_trip(planes: Planes, crf: int, preset: str = "veryfast") -> Planes:
    """Send a picture through x264 as a key frame.

    Args:
        planes: uint8, 4:2:0, even height and width.
        crf: x264's constant rate factor, [0, 51]; more is worse.
        preset: x264's speed.
    """
    options = {"crf": str(crf), "preset": preset, "x264-params": "log-level=none"}
    return _round_trip(planes, "libx264", "h264", "yuv420p", options)


def h264_qp_round_trip(planes: Planes, qp: int) -> Planes:
    """Send a picture through x264 as a key frame with one quantiser for all of it.

    Args:
        planes: uint8, 4:2:0, even height and width.
        qp: H.264's quantisation parameter of P pictures, [0, 51]; x264 gives key frames 3 less.
    """
    options = {"qp": str(qp), "preset": "veryfast", "x264-params": "log-level=none"}
    return _round_trip(planes, "libx264", "h264", "yuv420p", options)


def mpeg2_round_trip(planes: Planes, quantiser: int) -> Planes:
    """Send a picture through MPEG-2 as an I picture.

    Args:
        planes: uint8, 4:2:0, even height and width.
        quantiser: Quantiser scale, [1, 31]; more is worse.
    """
    options = {"qmin": str(quantiser), "qmax": str(quantiser)}
    return _round_trip(planes, "mpeg2video", "mpeg2video", "yuv420p", options)


def jpeg_round_trip(planes: Planes, quantiser: int) -> Planes:
    """Send a picture through JPEG's transform and quantisation.

    The codes pass as they are: whether they are limited or full range is the caller's matter.

    Args:
        planes: uint8, 4:2:0, even height and width.
        quantiser: Factor of the quantisation table, [1, 31]; more is worse.
    """
    options = {"qmin": str(quantiser), "qmax": str(quantiser)}
    return _round_trip(planes, "mjpeg", "mjpeg", "yuvj420p", options)


def _round_trip(
    planes: Planes, encoder_name: str, decoder_name: str, pix_fmt: str, options: dict[str, str]
) -> Planes:
    height, width = planes.luma.shape
    if height % 2 or width % 2 or planes.luma.dtype != np.uint8:
        raise ValueError(f"Planes are {width}x{height} {planes.luma.dtype}; expected even, uint8.")
    encoder = cast(VideoCodecContext, av.CodecContext.create(encoder_name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pix_fmt
    encoder.time_base = Fraction(1, 25)
    encoder.framerate = Fraction(25, 1)
    encoder.thread_count = 1
    encoder.options = options
    frame = VideoFrame.from_ndarray(_stacked(planes), format=pix_fmt)
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoder = cast(VideoCodecContext, av.CodecContext.create(decoder_name, "r"))
    decoder.thread_count = 1
    frames = [decoded for packet in packets for decoded in decoder.decode(packet)]
    frames += decoder.decode(None)
    return _unstacked(frames[0].to_ndarray(format=pix_fmt), height, width)


def _stacked(planes: Planes) -> np.ndarray:
    """PyAV's layout of yuv420p: luma, then the chroma planes, in rows of luma's width."""
    width = planes.luma.shape[1]
    chroma = np.concatenate((planes.cb.ravel(), planes.cr.ravel())).reshape(-1, width)
    return np.concatenate((planes.luma, chroma))


def _unstacked(stacked: np.ndarray, height: int, width: int) -> Planes:
    chroma = stacked[height:].reshape(2, height // 2, width // 2)
    return Planes(stacked[:height].copy(), chroma[0].copy(), chroma[1].copy())
