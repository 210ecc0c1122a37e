"""HEVC Main 10 by x265."""

from __future__ import annotations

from sdr2hdr.media.encoding.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2
from sdr2hdr.media.encoding.video_encoder import VideoEncoder, thread_count

__all__ = ["HevcEncoder"]

FRAME_THREADS = 3
"""Frames that x265 encodes at once, whatever the number of threads: x265's own choice for 8 cores.

By itself x265 takes it from the machine, and at large sizes motion vectors may reach only as far
down as the frame before is done."""

LOOKAHEAD_THREADS = 3
"""Threads that choose frame types. Left to itself x265 shares the pool, and with 4 or more threads
there it searches motion for the choice in another order, which changes the bytes. It takes fewer
than these where there are fewer than 6 threads in all, which changes nothing."""

WIDTH_FOR_CUTREE_PX = 49
"""From this width on x265 may look ahead how far blocks are referred to (cu-tree). Its code for
that handles four blocks of 16 px at a time, and with fewer than four in a row it writes past the
row's end and destroys the heap (x265 3.5 and 4.2 with AVX2)."""


def pool_threads(threads: int) -> int:
    """Threads of x265's pool that keep so many cores busy; the bytes do not depend on it.

    x265 takes the lookahead's threads out of the pool, and they have little to do: of two threads
    one encodes. At 1080p and `medium` on two cores it used 1.0 cores with 2 threads, 1.4 with 3,
    1.5 with 4 and no more with 6, and beside a network 4 leave no core idle. One thread stays one,
    for those who ask for no more.
    """
    return threads if threads == 1 else threads + 2


class HevcEncoder(VideoEncoder):
    """x265, which writes VUI, mastering display and light levels itself."""

    def _settings(self) -> dict[str, str]:
        return {
            "preset": self.spec.preset_of(self._options),
            "crf": f"{self.spec.quality_of(self._options):g}",
            "x265-params": self._x265_params(),
        }

    def _x265_params(self) -> str:
        """Our parameters, then the user's: x265 keeps the last of each.

        The pool holds the threads; nothing else may follow from their number, since the bytes
        would. Groups of pictures are closed, so that editors and joins can cut at every key frame;
        x265's note of its settings is left out, because it names the processor and would make the
        bytes differ between machines.
        """
        video, threads = self._video, thread_count(self._options)
        level = UNMEASURED_LIGHT_LEVEL_CD_M2
        ours = [
            "log-level=error",
            f"pools={pool_threads(threads)}",
            f"frame-threads={FRAME_THREADS}",
            f"lookahead-threads={LOOKAHEAD_THREADS}",
            f"chromaloc={video.signal.siting.value}",
            "hdr10=1",
            "hdr10-opt=1",
            "open-gop=0",
            "info=0",
            f"master-display={self._mastering.x265_text()}",
            f"max-cll={level},{level}",
        ]
        if video.width_px < WIDTH_FOR_CUTREE_PX:
            ours.append("cutree=0")
        if video.variable_rate or video.average_rate is None:
            ours.append("vui-timing-info=0")
        return ":".join([*ours, *filter(None, [self._options.encoder_params])])
