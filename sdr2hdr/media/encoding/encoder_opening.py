"""Open an encoder by its description, and find out before the work whether it is here."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from sdr2hdr.errors import OutputError
from sdr2hdr.media.encoding.av1_encoder import Av1Encoder
from sdr2hdr.media.encoding.encoders import ENCODERS, EncoderSpec
from sdr2hdr.media.encoding.hevc_encoder import HevcEncoder
from sdr2hdr.media.encoding.intra_encoders import DnxhrEncoder, Ffv1Encoder, ProresEncoder
from sdr2hdr.media.encoding.nvenc_encoder import NvencEncoder
from sdr2hdr.media.encoding.output_video import OutputVideo
from sdr2hdr.media.encoding.video_encoder import VideoEncoder
from sdr2hdr.options import EncodeOptions

__all__ = ["open_encoder", "require_encoder"]

_KINDS: Mapping[str, type[VideoEncoder]] = {
    "libx265": HevcEncoder,
    "hevc_nvenc": NvencEncoder,
    "libsvtav1": Av1Encoder,
    "av1_nvenc": NvencEncoder,
    "prores_ks": ProresEncoder,
    "dnxhd": DnxhrEncoder,
    "ffv1": Ffv1Encoder,
}
_TRIAL_SIZE_PX = (640, 360)


def open_encoder(
    spec: EncoderSpec, video: OutputVideo, options: EncodeOptions, time_base: Fraction
) -> VideoEncoder:
    """Open an encoder; see `VideoEncoder` for the arguments and errors."""
    return _KINDS[spec.libav_encoder](spec, video, options, time_base)


def require_encoder(spec: EncoderSpec) -> None:
    """Make sure that an encoder works on this machine.

    Raises:
        OutputError: It is not in this build of libav, or there is no GPU for it.
    """
    if not spec.needs_gpu:
        return
    width, height = _TRIAL_SIZE_PX
    video = OutputVideo(width, height, Fraction(1, 25), Fraction(25), signal=spec.signal)
    try:
        open_encoder(spec, video, EncodeOptions(), Fraction(1, 25)).close()
    except OutputError as error:
        others = [
            other.name
            for other in ENCODERS.values()
            if other.codec == spec.codec and not other.needs_gpu
        ]
        raise OutputError(
            f"{spec.name} needs an NVIDIA GPU with {spec.libav_encoder}, and none answers here; "
            f"choose --codec {' or '.join(others)}."
        ) from error
