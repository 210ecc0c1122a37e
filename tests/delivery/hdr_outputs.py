"""Finished HDR10 files of our own making, and ways to break them byte by byte."""

from __future__ import annotations

from pathlib import Path

from clips import ClipRecipe, make_clip

from sdr2hdr.jobs.run import convert
from sdr2hdr.options import ConvertOptions, EncodeOptions
from sdr2hdr.pipeline import prepare

MODEL = "bt2446a"


def make_output(folder: Path, name: str, codec: str | None = None, preset: str | None = None):
    """Convert a small clip with sound; the file and the summary."""
    recipe = ClipRecipe(width_px=64, height_px=48, pts=tuple(range(6)), audio_seconds=0.24)
    source = make_clip(folder / "source.mp4", recipe)
    encode = EncodeOptions(codec=codec, preset=preset, threads=1)
    options = ConvertOptions(model=MODEL, encode=encode, overwrite=True)
    conversion = prepare(source, folder / name, options)
    return folder / name, convert(conversion)


def patched(path: Path, target: Path, old: bytes, new: bytes, *, every: bool = False) -> Path:
    """A copy with bytes replaced by as many others: the first place, or every one."""
    data = path.read_bytes()
    assert len(old) == len(new) and old in data, (old, path)
    target.write_bytes(data.replace(old, new, -1 if every else 1))
    return target


def patched_at(path: Path, target: Path, mark: bytes, offset: int, new: bytes) -> Path:
    """A copy with bytes written some way behind the first place of a mark."""
    data = bytearray(path.read_bytes())
    place = data.index(mark) + offset
    data[place : place + len(new)] = new
    target.write_bytes(bytes(data))
    return target
