"""What the codes of HDR frames do that they should not: forbidden codes, range, gamut, black."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import pq_eotf
from sdr2hdr.frames import CodedBatch
from sdr2hdr.quality.pq_picture import pq_rgb
from sdr2hdr.signal import ColourRange, Matrix, Primaries

__all__ = ["CodeStatistics"]

GAMUT_TOLERANCE = 0.02
"""A component this share of the largest below 0 is rounding and coding, not a colour."""
DARKEST_JUDGED_CD_M2 = 1.0
"""Below it a step of a code is a large change of colour."""


@dataclass
class CodeStatistics:
    """Counts over the frames that were added.

    Attributes:
        samples: Luma and chroma samples looked at.
        forbidden: Of them, codes kept for timing references: at 10 bits 0-3 and 1020-1023
            (Rec. ITU-R BT.2100-2, Table 9).
        outside_range: Samples of limited range beyond nominal black, white or chroma peak.
        pixels: Pixels bright enough for their colour to be judged, 1 cd/m2.
        outside_p3: Of them, those outside the P3-D65 triangle.
        darkest_light_cd_m2: Least max(R, G, B) of any pixel.
    """

    frames: int = 0
    samples: int = 0
    forbidden: int = 0
    outside_range: int = 0
    pixels: int = 0
    outside_p3: int = 0
    darkest_light_cd_m2: float = float("inf")

    def add(self, batch: CodedBatch) -> None:
        """Take frames into account.

        Args:
            batch: PQ frames of any matrix, range, siting, subsampling and bit depth.
        """
        self.frames += len(batch.timeline)
        self._count_codes(batch)
        light_cd_m2 = pq_eotf(pq_rgb(batch).pixels)
        peak = light_cd_m2.amax(dim=1)
        self.darkest_light_cd_m2 = min(self.darkest_light_cd_m2, float(peak.min()))
        p3 = apply_matrix(rgb_to_rgb_matrix(Primaries.BT2020, Primaries.P3_D65), light_cd_m2)
        judged = peak >= DARKEST_JUDGED_CD_M2
        outside = p3.amin(dim=1) < -GAMUT_TOLERANCE * peak
        self.pixels += int(judged.sum())
        self.outside_p3 += int((outside & judged).sum())

    def _count_codes(self, batch: CodedBatch) -> None:
        signal = batch.signal
        step = 1 << (signal.bit_depth - 8)
        top = (1 << signal.bit_depth) - 1
        is_limited = signal.colour_range is ColourRange.LIMITED
        is_rgb = signal.matrix is Matrix.RGB
        for plane, is_chroma in ((batch.luma, False), (batch.cb, True), (batch.cr, True)):
            codes = plane.to(torch.int32)
            self.samples += codes.numel()
            if not is_limited:
                continue
            self.forbidden += int(((codes < step) | (codes > top - step)).sum())
            highest = (240 if is_chroma and not is_rgb else 235) * step
            self.outside_range += int(((codes < 16 * step) | (codes > highest)).sum())
