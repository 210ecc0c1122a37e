"""What the converted video stream is to be, apart from its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from sdr2hdr.media.mastering import MasteringDisplay
from sdr2hdr.signal import HDR10_SIGNAL, CodedSignal, Subsampling

__all__ = ["OutputVideo"]


@dataclass(frozen=True)
class OutputVideo:
    """The converted video stream.

    Attributes:
        width_px: Of the frames that are encoded, even where chroma is subsampled.
        height_px: Likewise.
        time_base: Of the frame times that will be written: the source's own, or half of it where
            deinterlacing doubles the frames.
        average_rate: Frames a second on average, None if unknown.
        variable_rate: Whether frame durations differ; None takes what is known of the source.
        signal: What the codes mean: `encoders.output_signal` of the options and the target.
        sample_aspect_ratio: Width to height of a pixel.
        rotation_degrees: Counter-clockwise turn a player applies: 0, 90, 180 or 270.
        is_mirrored: Whether a player swaps left and right behind that.
        mastering: The display to name; None takes that of the encoding options.
        crop_right_px: Columns of padding at the right that a player should not show.
        crop_bottom_px: Rows of padding at the bottom that a player should not show.

    Raises:
        ValueError: A size is not positive or not a multiple of the chroma subsampling, the
            padding covers the picture, or the rotation is not a quarter turn.
    """

    width_px: int
    height_px: int
    time_base: Fraction
    average_rate: Fraction | None
    variable_rate: bool | None = None
    signal: CodedSignal = HDR10_SIGNAL
    sample_aspect_ratio: Fraction = Fraction(1)
    rotation_degrees: int = 0
    is_mirrored: bool = False
    mastering: MasteringDisplay | None = None
    crop_right_px: int = 0
    crop_bottom_px: int = 0

    def __post_init__(self) -> None:
        subsampling: Subsampling = self.signal.subsampling
        if self.width_px < 1 or self.width_px % subsampling.horizontal:
            raise ValueError(
                f"Width is {self.width_px}; expected a multiple of {subsampling.horizontal}."
            )
        if self.height_px < 1 or self.height_px % subsampling.vertical:
            raise ValueError(
                f"Height is {self.height_px}; expected a multiple of {subsampling.vertical}."
            )
        if not (0 <= self.crop_right_px < self.width_px):
            raise ValueError(f"Crop at the right is {self.crop_right_px} of {self.width_px} px.")
        if not (0 <= self.crop_bottom_px < self.height_px):
            raise ValueError(f"Crop at the bottom is {self.crop_bottom_px} of {self.height_px} px.")
        if self.rotation_degrees not in (0, 90, 180, 270):
            raise ValueError(f"Rotation is {self.rotation_degrees}; expected 0, 90, 180 or 270.")
        if self.time_base <= 0 or self.sample_aspect_ratio <= 0:
            raise ValueError("Time base and sample aspect ratio must be positive.")
