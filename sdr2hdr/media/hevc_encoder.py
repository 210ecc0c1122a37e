"""HEVC Main 10 by x265."""

from __future__ import annotations

from av.packet import Packet

from sdr2hdr.media.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2
from sdr2hdr.media.video_encoder import VideoEncoder, thread_count

__all__ = ["HevcEncoder", "frame_threads"]

_FRAMES_WITHOUT_DECODING_TIME = 2
"""So few frames x265 gives in display order, and their decoding times are not set to anything."""


def frame_threads(threads: int) -> int:
    """Frames that x265 encodes at once; the bytes of the result depend on it.

    The steps are those that x265 itself takes for that many cores, fixed here so that a run with
    `--threads N` gives the same file on every machine.
    """
    for cores, frames in ((32, 6), (16, 5), (8, 3), (4, 2)):
        if threads >= cores:
            return frames
    return 1


class HevcEncoder(VideoEncoder):
    """x265, which writes VUI, mastering display and light levels itself."""

    def flush(self) -> list[Packet]:
        """The packets of all frames still inside the encoder.

        Raises:
            OutputError: x265 failed.
        """
        packets = super().flush()
        if self._frames <= _FRAMES_WITHOUT_DECODING_TIME:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _settings(self) -> dict[str, str]:
        return {
            "preset": self.spec.preset_of(self._options),
            "crf": f"{self.spec.quality_of(self._options):g}",
            "x265-params": self._x265_params(),
        }

    def _x265_params(self) -> str:
        """Our parameters, then the user's: x265 keeps the last of each.

        Groups of pictures are closed, so that editors and joins can cut at every key frame; x265's
        note of its settings is left out, because it names the processor and would make the bytes
        differ between machines.
        """
        video, threads = self._video, thread_count(self._options)
        level = UNMEASURED_LIGHT_LEVEL_CD_M2
        ours = [
            "log-level=error",
            f"pools={threads}",
            f"frame-threads={frame_threads(threads)}",
            f"chromaloc={video.signal.siting.value}",
            "hdr10=1",
            "hdr10-opt=1",
            "open-gop=0",
            "info=0",
            f"master-display={self._mastering.x265_text()}",
            f"max-cll={level},{level}",
        ]
        if video.variable_rate or video.average_rate is None:
            ours.append("vui-timing-info=0")
        return ":".join([*ours, *filter(None, [self._options.encoder_params])])
