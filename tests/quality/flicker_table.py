"""Measure flicker, method by clip, with and without memory along the shot; a program::

    python tests/quality/flicker_table.py [--model NAME]... [--frames N] [CLIP]...

Beside the clips that are named (their first 48 frames, at 320x180) it measures the synthetic ones
of `steady_scenes`. A row is a shot:
its own flicker in 10-bit PQ codes as a 100 cd/m2 display shows it, how much of the picture stands
still, and for each method the same of the conversion, in codes, with the ratio of the two (as
`convert --json` says it): with `--temporal off`, then on. A curve knows one pixel, so both are one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from films import join_clips
from lively_weights import write_lively_weights
from steady_scenes import FRAMES, SCENES, SIZE_PX, write_scene

from sdr2hdr.jobs import run
from sdr2hdr.options import ConvertOptions, EncodeOptions, EngineOptions
from sdr2hdr.pipeline import prepare
from sdr2hdr.quality.flicker import ShotFlicker

LIVELY = "irnet2-lively"
"""irnet2 with the weights of `lively_weights`: what memory does if a network reacts strongly."""

MODELS = ("bt2446a", "irnet2", LIVELY, "gpgmnet-x2")


def shots_of(clip: Path, model: str, folder: Path, *, temporal: bool) -> tuple[ShotFlicker, ...]:
    """The flicker of every shot of a conversion; measured before it is encoded."""
    target = folder / "converted.mkv"
    weights_dir = None
    if model == LIVELY:
        model, weights_dir = "irnet2", folder / "lively"
        if not weights_dir.exists():
            weights_dir.mkdir()
            write_lively_weights(weights_dir)
    options = ConvertOptions(
        model,
        engine=EngineOptions(weights_dir=weights_dir),
        scale=2 if model.endswith("-x2") else 4 if model.endswith("-x4") else 1,
        encode=EncodeOptions(preset="ultrafast"),
        overwrite=True,
        verify=False,
        temporal=temporal,
    )
    return run.convert(prepare(clip, target, options)).flicker


def rows(name: str, clip: Path, models: Sequence[str], folder: Path) -> Iterator[str]:
    """A line of the table for each shot."""
    first: tuple[ShotFlicker, ...] = ()
    cells: list[list[str]] = []
    for model in models:
        off = shots_of(clip, model, folder, temporal=False)
        on = shots_of(clip, model, folder, temporal=True)
        first = first or off
        cells.append([cell(*pair) for pair in zip(off, on, strict=True)])
    for number, shot in enumerate(first):
        place = name if len(first) == 1 else f"{name} from {shot.first_frame}"
        source = "-" if shot.source_codes is None else f"{shot.source_codes:.3f}"
        yield " | ".join(
            ["", place, f"{shot.still_share:.0%}", source, *(part[number] for part in cells), ""]
        ).strip()


def cell(off: ShotFlicker, on: ShotFlicker) -> str:
    """Codes and ratio of one method over one shot."""
    if off.ratio is None or on.ratio is None:
        return "-"
    if off == on:
        return f"{on.converted_codes:.3f} ({on.ratio:.2f})"
    return (
        f"{off.converted_codes:.3f} ({off.ratio:.2f}) -> {on.converted_codes:.3f} ({on.ratio:.2f})"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Flicker, method by clip.")
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--model", action="append", dest="models")
    parser.add_argument("--scene", action="append", choices=SCENES, help="default: all")
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each real clip")
    given = parser.parse_args(arguments)
    models = given.models or list(MODELS)
    print("|", " | ".join(["clip", "still", "source", *models]), "|")
    print("|", " | ".join(["---"] * (3 + len(models))), "|", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scene in given.scene or SCENES:
            clip = write_scene(scene, folder / "scene.mkv")
            for line in rows(scene, clip, models, folder):
                print(line, flush=True)
        for clip in given.clips:
            small = join_clips([clip], folder / "small.mkv", *SIZE_PX, given.frames)
            for line in rows(clip.stem, small, models, folder):
                print(line, flush=True)


if __name__ == "__main__":
    main()
