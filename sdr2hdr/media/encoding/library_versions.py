"""Which versions of libav and of an encoder are at work: other versions make other bytes."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
from av.codec.context import Flags

from sdr2hdr.media.encoding.encoders import choose_encoder
from sdr2hdr.options import EncodeOptions

__all__ = ["encoder_version", "library_versions"]


def library_versions() -> dict[str, str]:
    """PyAV's version, and those of the libraries of FFmpeg that decode, encode and mux."""
    names = ("libavcodec", "libavformat", "libavfilter")
    versions = {name: ".".join(map(str, av.library_versions[name])) for name in names}
    return {"av": av.__version__, **versions}


def encoder_version(options: EncodeOptions, target: Path) -> str:
    """The name of the encoder that writes a target, and its version where it tells.

    x265 writes its version into the stream's header if it is allowed to; the other encoders come
    with PyAV's wheel and are told by its version.

    Raises:
        UsageError: As `choose_encoder`.
        OutputError: As `choose_encoder`.
    """
    name = choose_encoder(options, target).libav_encoder
    if name != "libx265":
        return name
    context = av.CodecContext.create(name, "w")
    context.width, context.height, context.pix_fmt = 64, 64, "yuv420p10le"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.flags |= Flags.global_header
    params = "log-level=none:info=1:pools=1:frame-threads=1"
    context.options = {"preset": "ultrafast", "x265-params": params}
    context.open()
    said = re.search(rb"x265 \((build \d+)\) - ([\w.+-]+)", bytes(context.extradata or b""))
    return name if said is None else f"{name} {said[2].decode()}, {said[1].decode()}"
