"""AV1 Main at 10 bits by SVT-AV1."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sdr2hdr.media.encoding.encoders import UNMEASURED_LIGHT_LEVEL_CD_M2
from sdr2hdr.media.encoding.video_encoder import VideoEncoder, thread_count

__all__ = ["Av1Encoder"]

_LOG_LEVEL_VARIABLE = "SVT_LOG"
_ERRORS_ONLY = "1"
_HIGHEST_PARALLELISM = 6


class Av1Encoder(VideoEncoder):
    """SVT-AV1, which writes mastering display and light levels as metadata OBUs itself."""

    def _settings(self) -> dict[str, str]:
        level = UNMEASURED_LIGHT_LEVEL_CD_M2
        ours = [
            f"lp={min(thread_count(self._options), _HIGHEST_PARALLELISM)}",
            f"mastering-display={self._mastering.svt_text()}",
            f"content-light={level},{level}",
        ]
        return {
            "preset": self.spec.preset_of(self._options),
            "crf": f"{self.spec.quality_of(self._options):g}",
            "chroma_sample_location": "topleft",
            "svtav1-params": ":".join([*ours, *filter(None, [self._options.encoder_params])]),
        }

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        """SVT-AV1 prints its settings to standard error unless the environment says not to.

        It looks there once, when it is first opened; a user's own setting stays.
        """
        if _LOG_LEVEL_VARIABLE in os.environ:
            yield
            return
        os.environ[_LOG_LEVEL_VARIABLE] = _ERRORS_ONLY
        try:
            yield
        finally:
            os.environ.pop(_LOG_LEVEL_VARIABLE, None)
