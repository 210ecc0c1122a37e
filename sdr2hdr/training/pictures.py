"""Files to tensors: HDR pictures as light, SDR pictures as the signal that every method takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from sdr2hdr.colour.channels import apply_matrix, weighted_sum
from sdr2hdr.colour.chroma import upsample_chroma
from sdr2hdr.colour.primaries import (
    luminance_coefficients,
    rgb_to_rgb_matrix,
    rgb_to_xyz_matrix,
)
from sdr2hdr.colour.transfer import (
    bt1886_eotf,
    bt1886_inverse_eotf,
    pq_eotf,
    srgb_eotf,
)
from sdr2hdr.colour.ycbcr import dequantise, ycbcr_to_rgb
from sdr2hdr.errors import InputError
from sdr2hdr.media.containers.exr_header import exr_white_cd_m2
from sdr2hdr.media.reading.still_images import (
    LINEAR_SUFFIXES,
    CodedPicture,
    PictureTransfer,
    read_coded_pictures,
    read_linear_picture,
)
from sdr2hdr.signal import BT709_DISPLAY, REFERENCE_WHITE_CD_M2, Primaries
from sdr2hdr.training.scenes import Referral

__all__ = ["read_hdr_pictures", "read_sdr_pictures"]

# Rec. ITU-R BT.2100-2, Table 5: HLG, display of 1000 cd/m2
_HLG_A = 0.17883277
_HLG_B = 1.0 - 4.0 * _HLG_A
_HLG_C = 0.5 - _HLG_A * float(np.log(4.0 * _HLG_A))
_HLG_PEAK_CD_M2 = 1000.0
_HLG_SYSTEM_GAMMA = 1.2


def read_hdr_pictures(path: Path, referral: Referral, count: int = 1) -> Iterator[torch.Tensor]:
    """Read light in BT.2020 primaries.

    Args:
        path: OpenEXR or Radiance (linear), or a PQ or HLG picture or video.
        referral: Of linear files: scene-referred ones are in BT.709 primaries, display-referred
            ones in BT.2020 and 1.0 is 203 cd/m2, unless their header says otherwise.
        count: Pictures wanted of a video.

    Yields:
        (1, 3, H, W), float32, 0 or more; 1.0 is 203 cd/m2 if the file is display-referred.

    Raises:
        InputError: The file cannot be read, or is not HDR.
    """
    if path.suffix.lower() in LINEAR_SUFFIXES:
        picture = read_linear_picture(path)
        light = torch.from_numpy(picture.pixels).permute(2, 0, 1)[None].contiguous()
        if picture.chromaticities is not None:
            matrix = _matrix_to_bt2020(picture.chromaticities)
        elif referral is Referral.SCENE:
            matrix = rgb_to_rgb_matrix(Primaries.BT709, Primaries.BT2020)
        else:
            matrix = np.eye(3)
        if referral is Referral.DISPLAY:
            light *= (exr_white_cd_m2(path) or REFERENCE_WHITE_CD_M2) / REFERENCE_WHITE_CD_M2
        yield apply_matrix(matrix, light).clamp_(min=0.0)
        return
    for coded in read_coded_pictures(path, count):
        yield _coded_light(path, coded)


def read_sdr_pictures(path: Path, count: int = 1) -> Iterator[torch.Tensor]:
    """Read SDR signal: R'G'B' of BT.709 primaries and gamma 2.4, in steps of 8 bits.

    Still pictures are sRGB unless tagged as video (H.273 code 1, as PNG's cICP has it): they are
    decoded as such and encoded anew with gamma 2.4.

    Yields:
        (1, 3, H, W), float32, [0, 1].

    Raises:
        InputError: The file cannot be read, or is HDR.
    """
    for coded in read_coded_pictures(path, count):
        if coded.transfer in (PictureTransfer.PQ, PictureTransfer.HLG):
            raise InputError(f"{path} is {coded.transfer.value}; expected an SDR picture.")
        pixels = _rgb(coded).clamp(0.0, 1.0)
        if coded.transfer is PictureTransfer.SRGB:
            pixels = bt1886_inverse_eotf(srgb_eotf(pixels))
            pixels = torch.round(pixels * 255.0) / 255.0
        if coded.signal.primaries is not BT709_DISPLAY.primaries:
            matrix = rgb_to_rgb_matrix(coded.signal.primaries, BT709_DISPLAY.primaries)
            light = apply_matrix(matrix, bt1886_eotf(pixels)).clamp_(0.0, 1.0)
            pixels = bt1886_inverse_eotf(light)
        yield pixels


def _rgb(coded: CodedPicture) -> torch.Tensor:
    luma = dequantise(torch.from_numpy(coded.planes.luma)[None], coded.signal, chroma=False)
    height, width = luma.shape[1:]
    chroma = [
        upsample_chroma(
            dequantise(torch.from_numpy(plane)[None], coded.signal, chroma=True),
            coded.signal.siting,
            coded.signal.subsampling,
            height,
            width,
        )
        for plane in (coded.planes.cb, coded.planes.cr)
    ]
    return ycbcr_to_rgb(luma, chroma[0], chroma[1], coded.signal.matrix)


def _coded_light(path: Path, coded: CodedPicture) -> torch.Tensor:
    signal = _rgb(coded).clamp(0.0, 1.0)
    if coded.transfer is PictureTransfer.PQ:
        light = pq_eotf(signal) / REFERENCE_WHITE_CD_M2
    elif coded.transfer is PictureTransfer.HLG:
        light = _hlg_light_cd_m2(signal) / REFERENCE_WHITE_CD_M2
    else:
        raise InputError(f"{path} is tagged {coded.transfer.value}; expected PQ or HLG.")
    if coded.signal.primaries is not Primaries.BT2020:
        light = apply_matrix(rgb_to_rgb_matrix(coded.signal.primaries, Primaries.BT2020), light)
    return light.clamp_(min=0.0)


def _hlg_light_cd_m2(signal: torch.Tensor) -> torch.Tensor:
    """Inverse OETF, then the OOTF of a 1000 cd/m2 display (Rec. ITU-R BT.2100-2, Table 5)."""
    low = signal.square() / 3.0
    high = (torch.exp((signal - _HLG_C) / _HLG_A) + _HLG_B) / 12.0
    scene = torch.where(signal <= 0.5, low, high)
    luminance = weighted_sum(scene, luminance_coefficients(Primaries.BT2020))
    return _HLG_PEAK_CD_M2 * scene * luminance.clamp(min=1e-9) ** (_HLG_SYSTEM_GAMMA - 1.0)


def _matrix_to_bt2020(chromaticities: np.ndarray) -> np.ndarray:
    """Matrix from any primaries to BT.2020; white stays white, whatever its chromaticity.

    Source:
        SMPTE RP 177-1993, section 3.3. The picture's own white is taken for neutral, which is an
        adaptation by scaling the cone-like responses of XYZ.
    """
    columns = np.stack([(x / y, 1.0, (1.0 - x - y) / y) for x, y in chromaticities], axis=1)
    scaled = columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3])
    white = columns[:, 3]
    target = rgb_to_xyz_matrix(Primaries.BT2020)
    adapted = np.diag(target.sum(axis=1) / white) @ scaled
    return np.linalg.solve(target, adapted)
