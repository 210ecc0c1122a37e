"""Options of the look, dither and the round trip, and the values they turn into."""

from __future__ import annotations

from typing import Any

import click

from sdr2hdr.cli.parameters import combined
from sdr2hdr.options import Look

__all__ = ["look_options", "parse_look"]

look_options = combined(
    click.option(
        "--peak",
        type=float,
        default=1000.0,
        show_default=True,
        metavar="CD/M2",
        help="Roll highlights off so that no channel exceeds this. It raises nothing: "
        "--reference-white and --exposure do.",
    ),
    click.option(
        "--reference-white",
        type=float,
        metavar="CD/M2",
        help="Where SDR white lands before the roll-off; all light is multiplied alike "
        "[default: where the model puts it; networks as bt2446a, 1000].",
    ),
    click.option(
        "--exposure",
        type=float,
        default=0.0,
        show_default=True,
        metavar="STOPS",
        help="Double the light this many times (halve it with a minus).",
    ),
    click.option(
        "--limit-gamut",
        type=click.Choice(["p3-d65"]),
        help="Desaturate colours, hue kept, until they fit this gamut.",
    ),
    click.option(
        "--dither/--no-dither",
        default=False,
        show_default=True,
        help="Add noise of half a code before rounding to 10 bits, against bands of that rounding, "
        "not of the source; the same bytes each run.",
    ),
    click.option(
        "--verify-roundtrip",
        is_flag=True,
        help="Take the model's HDR back to SDR and report Delta E ITP to the source per shot.",
    ),
)


def parse_look(given: dict[str, Any]) -> Look:
    """The look from the values of `look_options`.

    Raises:
        UsageError: A value is out of range.
    """
    return Look(
        peak_cd_m2=given["peak"],
        reference_white_cd_m2=given["reference_white"],
        exposure_stops=given["exposure"],
        limit_gamut=given["limit_gamut"],
    )
