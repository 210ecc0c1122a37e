"""A contact sheet: SDR, the curve, a network and the reference side by side, for the eye.

HDR cannot be shown in a PNG file, so its light is tone-mapped for viewing; below each row of
pictures stands their luminance in false colour, which shows what the tone mapping hides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from sdr2hdr.colour.channels import apply_matrix
from sdr2hdr.colour.primaries import rgb_to_rgb_matrix
from sdr2hdr.colour.transfer import bt1886_eotf, pq_eotf, srgb_inverse_eotf
from sdr2hdr.curves.display_light import sdr_to_bt2020_linear
from sdr2hdr.errors import OutputError
from sdr2hdr.exam.frames import FRAME_WIDTH_PX, anchored_frames
from sdr2hdr.exam.methods import ExamMethod
from sdr2hdr.exam.sets import ExamSet
from sdr2hdr.media.reading.still_images import write_png
from sdr2hdr.signal import REFERENCE_WHITE_CD_M2, SDR_WHITE_CD_M2, Primaries
from sdr2hdr.training.glyphs import draw_line
from sdr2hdr.training.grade import bt2020_luminance

__all__ = ["FALSE_COLOURS", "draw_sheet", "false_colour", "for_viewing"]

_SCENES = 6
_OPERATORS = ("bt2390_eetf", "filmic", "hard_clip", "bt709_camera", "hable", "local_contrast")
"""One a scene, in turn."""

_VIEWING_WHITE_CD_M2 = REFERENCE_WHITE_CD_M2
_VIEWING_PEAK_CD_M2 = 1000.0

FALSE_COLOURS: tuple[tuple[float, tuple[int, int, int]], ...] = (
    (0.0, (20, 20, 20)),
    (0.5, (60, 20, 90)),
    (2.0, (30, 40, 160)),
    (8.0, (20, 120, 190)),
    (25.0, (20, 150, 120)),
    (50.0, (60, 170, 50)),
    (100.0, (150, 190, 40)),
    (203.0, (235, 215, 50)),
    (400.0, (245, 150, 30)),
    (600.0, (225, 60, 30)),
    (800.0, (250, 120, 200)),
    (1000.0, (255, 255, 255)),
)
"""Colour of light from so many cd/m2 on."""

_LABEL_ROWS_PX = 22
_GAP_PX = 4
_PAPER = 28


def for_viewing(light_cd_m2: torch.Tensor) -> torch.Tensor:
    """Tone-map HDR light for an SDR screen: Reinhard's extended curve on luminance, ratios kept.

    Args:
        light_cd_m2: (1, 3, H, W), linear BT.2020.

    Returns:
        sRGB R'G'B', same shape, [0, 1]; 203 cd/m2 lies at half of white, 1000 cd/m2 at white.
    """
    luminance = bt2020_luminance(light_cd_m2) / _VIEWING_WHITE_CD_M2
    white = _VIEWING_PEAK_CD_M2 / _VIEWING_WHITE_CD_M2
    factor = (1.0 + luminance / white**2) / (1.0 + luminance) / _VIEWING_WHITE_CD_M2
    matrix = rgb_to_rgb_matrix(Primaries.BT2020, Primaries.BT709)
    return srgb_inverse_eotf(apply_matrix(matrix, light_cd_m2 * factor).clamp(0.0, 1.0))


def false_colour(light_cd_m2: torch.Tensor) -> np.ndarray:
    """Luminance in the steps of `FALSE_COLOURS`: (1, 3, H, W) to (H, W, 3), uint8."""
    bounds = torch.tensor([bound for bound, _ in FALSE_COLOURS[1:]], dtype=light_cd_m2.dtype)
    # A hair above, so that light of just 1000 cd/m2 is not below it by rounding.
    step = torch.bucketize(bt2020_luminance(light_cd_m2)[0, 0] * 1.0005, bounds, right=True)
    return np.array([colour for _, colour in FALSE_COLOURS], np.uint8)[step.numpy()]


def draw_sheet(path: Path, exam: ExamSet, methods: Sequence[ExamMethod]) -> None:
    """Draw six scenes, each through another down-conversion, clean.

    Args:
        path: PNG file; replaced.
        exam: The pictures.
        methods: With bt2446a and one network of scale 1.

    Raises:
        OutputError: The file cannot be written.
    """
    here = [method for method in methods if method.scale == 1]
    curve = next(method for method in here if method.name == "bt2446a")
    network = next(method for method in here if method.kind == "network")
    rows = [_heading(("SDR", "2446-A", "NET", "HDR"))]
    for index, scene in enumerate(exam.scenes[:_SCENES]):
        operator = _OPERATORS[index % len(_OPERATORS)]
        frame = next(iter(anchored_frames([scene], 1, (operator,))))
        sdr = frame.pair.sdr
        answers = (curve.answer(sdr), network.answer(sdr), frame.pair.hdr)
        light = [pq_eotf(answer) for answer in answers]
        shown = [_bytes(srgb_inverse_eotf(bt1886_eotf(sdr)))]
        shown += [_bytes(for_viewing(each)) for each in light]
        # SDR's own light, with its white at 100 cd/m2 as a reference display has it.
        sdr_light = sdr_to_bt2020_linear(sdr) * SDR_WHITE_CD_M2
        rows += [_row(shown), _row([false_colour(each) for each in (sdr_light, *light)])]
    rows.append(_legend(rows[0].shape[1]))
    try:
        write_png(path, np.concatenate(rows))
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror} (--sheet).") from error


def _bytes(picture: torch.Tensor) -> np.ndarray:
    return (picture[0].permute(1, 2, 0) * 255.0).round().to(torch.uint8).numpy()


def _row(pictures: Sequence[np.ndarray]) -> np.ndarray:
    height = pictures[0].shape[0]
    gap = np.full((height, _GAP_PX, 3), _PAPER, np.uint8)
    parts = [gap, *(part for picture in pictures for part in (picture, gap))]
    row = np.concatenate(parts, axis=1)
    return np.concatenate((row, np.full((_GAP_PX, row.shape[1], 3), _PAPER, np.uint8)))


def _heading(texts: Sequence[str]) -> np.ndarray:
    width = _GAP_PX + (FRAME_WIDTH_PX + _GAP_PX) * len(texts)
    canvas = np.full((_LABEL_ROWS_PX, width, 3), _PAPER, np.uint8)
    for index, text in enumerate(texts):
        _write(canvas, text, 4, 2 * _GAP_PX + (FRAME_WIDTH_PX + _GAP_PX) * index)
    return canvas


def _legend(width: int) -> np.ndarray:
    canvas = np.full((2 * _LABEL_ROWS_PX, width, 3), _PAPER, np.uint8)
    edges = np.linspace(0, width, len(FALSE_COLOURS) + 1).astype(int)
    for (left, right), (bound, colour) in zip(pairwise(edges), FALSE_COLOURS, strict=True):
        canvas[:_LABEL_ROWS_PX, left:right] = colour
        _write(canvas, f"{bound:g}", _LABEL_ROWS_PX + 4, left + 2)
    return canvas


def _write(canvas: np.ndarray, text: str, row: int, column: int) -> None:
    dots = draw_line(text).repeat(2, axis=0).repeat(2, axis=1) > 0.5
    canvas[row : row + dots.shape[0], column : column + dots.shape[1]][dots] = 230
