"""Forms for editing and keeping, every frame for itself: ProRes, DNxHR, FFV1.

None of them has a place for HDR10 metadata in its stream; the container alone carries it.
"""

from __future__ import annotations

from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from sdr2hdr.media.containers.packets import with_data
from sdr2hdr.media.encoding.video_encoder import VideoEncoder, thread_count, user_params

__all__ = ["DnxhrEncoder", "Ffv1Encoder", "ProresEncoder"]

_QUANTISER_STEP = 118
"""libav's `FF_QP2LAMBDA`: how its options count quantisers."""


class _IntraEncoder(VideoEncoder):
    def _described_context(self) -> VideoCodecContext:
        context = super()._described_context()
        context.thread_count = thread_count(self._options)
        return context


class ProresEncoder(_IntraEncoder):
    """ProRes 422 HQ or 4444; primaries, transfer and matrix go into every frame's header."""

    def _settings(self) -> dict[str, str]:
        settings = {
            "profile": "4444" if self.spec.name == "prores-4444" else "hq",
            "vendor": "apl0",
        }
        if self._options.quality is not None:
            step = round(self._options.quality * _QUANTISER_STEP)
            settings |= {"flags": "+qscale+global_header", "global_quality": str(step)}
        return {**settings, **user_params(self._options)}


class DnxhrEncoder(_IntraEncoder):
    """DNxHR HQX or 444.

    Each frame's header has two bits for the colour volume, which libav leaves at BT.709; they are
    set to BT.2020 non-constant luminance (SMPTE ST 2019-1, CLV), as libav's decoder reads them.
    The bit beside them (CLF) libav sets for Y'CbCr in 4:4:4 and reads so again, while MediaInfo
    takes it for R'G'B': for 4:4:4 that other programs read, ProRes 4444 is the safer choice.
    """

    _COLOUR_BYTE = 0x2C
    _COLOUR_VOLUME_BITS = 0b110
    _BT2020_NCL = 0b010

    def _settings(self) -> dict[str, str]:
        profile = "dnxhr_444" if self.spec.name == "dnxhr-444" else "dnxhr_hqx"
        return {"profile": profile, **user_params(self._options)}

    def _amended(self, packet: Packet) -> Packet:
        data = bytearray(bytes(packet))
        kept = data[self._COLOUR_BYTE] & ~self._COLOUR_VOLUME_BITS
        data[self._COLOUR_BYTE] = kept | self._BT2020_NCL
        return with_data(packet, bytes(data))


class Ffv1Encoder(_IntraEncoder):
    """FFV1 version 3 as archives want it: every frame a key frame, a checksum for every slice."""

    def _settings(self) -> dict[str, str]:
        return {
            "level": "3",
            "g": "1",
            "slices": "4",
            "slicecrc": "1",
            **user_params(self._options),
        }
