"""Letterbox: work on the picture inside the bars, and give the bars back as exact black."""

from __future__ import annotations

import dataclasses

import torch

from sdr2hdr.frames import CodedBatch, Rectangle

__all__ = ["crop", "place_on_black"]


def crop(batch: CodedBatch, picture: Rectangle) -> CodedBatch:
    """Cut a rectangle out of every frame.

    Args:
        batch: Coded frames of any signal.
        picture: The part to keep; its edges lie on whole chroma samples.

    Returns:
        Frames of the rectangle's size (views of the input's planes).

    Raises:
        ValueError: An edge falls between chroma samples.
    """
    across = batch.signal.subsampling.horizontal
    down = batch.signal.subsampling.vertical
    _, height, width = batch.luma.shape
    for edge, step, end in (
        (picture.left, across, width),
        (picture.right, across, width),
        (picture.top, down, height),
        (picture.bottom, down, height),
    ):
        if edge % step and edge != end:
            raise ValueError(f"{picture} does not lie on whole chroma samples of {batch.signal}.")
    luma = (slice(None), slice(picture.top, picture.bottom), slice(picture.left, picture.right))
    chroma = (
        slice(None),
        slice(picture.top // down, -(-picture.bottom // down)),
        slice(picture.left // across, -(-picture.right // across)),
    )
    return dataclasses.replace(
        batch, luma=batch.luma[luma], cb=batch.cb[chroma], cr=batch.cr[chroma]
    )


def place_on_black(batch: CodedBatch, picture: Rectangle, height: int, width: int) -> CodedBatch:
    """Put frames into larger ones that are exact black (64/512/512 in HDR10) elsewhere.

    Args:
        batch: Frames of the rectangle's size.
        picture: Where they go; `top` and `left` lie on whole chroma samples.
        height: Rows of the result, px.
        width: Columns of the result, px.
    """
    signal = batch.signal
    across = signal.subsampling.horizontal
    down = signal.subsampling.vertical
    frames = batch.luma.shape[0]

    def framed(plane: torch.Tensor, code: int, rows: int, columns: int, top: int, left: int):
        canvas = torch.full((frames, rows, columns), code, dtype=torch.int32, device=plane.device)
        canvas = canvas.to(plane.dtype)
        canvas[:, top : top + plane.shape[1], left : left + plane.shape[2]] = plane
        return canvas

    chroma = (-(-height // down), -(-width // across), picture.top // down, picture.left // across)
    neutral = signal.neutral_chroma_code
    return dataclasses.replace(
        batch,
        luma=framed(batch.luma, signal.black_code, height, width, picture.top, picture.left),
        cb=framed(batch.cb, neutral, *chroma),
        cr=framed(batch.cr, neutral, *chroma),
    )
