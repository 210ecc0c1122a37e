"""HEVC Main 10 and AV1 by the encoder of an NVIDIA GPU."""

from __future__ import annotations

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from sdr2hdr.media.bitstreams.hdr10_obu import with_hdr_obus
from sdr2hdr.media.bitstreams.hdr10_sei import (
    HdrSei,
    content_light_payload,
    join_units,
    split_units,
    with_hdr_sei,
)
from sdr2hdr.media.containers.packets import with_data
from sdr2hdr.media.encoding.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2
from sdr2hdr.media.encoding.video_encoder import VideoEncoder, user_params
from sdr2hdr.media.mastering import MasteringDisplay

__all__ = ["NvencEncoder", "with_hdr10"]

_UNUSED_LOW_BITS = 6
"""P010 holds 10 bits at the top of 16."""


def with_hdr10(codec: str, data: bytes, mastering: MasteringDisplay) -> bytes:
    """A key frame, or HEVC's parameter sets, with mastering display and unmeasured light levels.

    Args:
        codec: "hevc" (with start codes) or "av1".
        data: As the encoder gave it.
        mastering: The display to name.
    """
    level = UNMEASURED_LIGHT_LEVEL_CD_M2
    metadata = HdrSei(mastering.mdcv_payload(), content_light_payload(level, level))
    if codec == "av1":
        return with_hdr_obus(data, metadata)
    return join_units(with_hdr_sei(split_units(data, 0), metadata), 0)


class NvencEncoder(VideoEncoder):
    """NVENC; libav gives it no HDR10 metadata, so that is put into its key frames here."""

    def _settings(self) -> dict[str, str]:
        return {
            "preset": self.spec.preset_of(self._options),
            "tune": "hq",
            "rc": "vbr",
            "cq": f"{self.spec.quality_of(self._options):g}",
            "forced-idr": "1",
            "chroma_sample_location": "topleft",
            **user_params(self._options),
        }

    def _described_stream(self, extradata: bytes) -> bytes:
        if self.spec.codec != "hevc":
            return extradata
        return with_hdr10("hevc", extradata, self._mastering)

    def _fill(self, frame: VideoFrame, planes: list[np.ndarray]) -> None:
        luma, cb, cr = planes
        interleaved = np.stack((cb, cr), axis=-1).reshape(cb.shape[0], -1)
        super()._fill(frame, [codes << _UNUSED_LOW_BITS for codes in (luma, interleaved)])

    def _amended(self, packet: Packet) -> Packet:
        if not packet.is_keyframe:
            return packet
        return with_data(packet, with_hdr10(self.spec.codec, bytes(packet), self._mastering))
