from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from sdr2hdr.cli.look_options import look_options, parse_look
from sdr2hdr.errors import UsageError
from sdr2hdr.options import Look


def given(*arguments: str) -> dict:
    values = {}

    @click.command()
    @look_options
    def command(**options):
        values.update(options)

    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return values


def test_nothing_given_is_the_default_look():
    assert parse_look(given()) == Look()
    assert given()["dither"] is False
    assert given()["verify_roundtrip"] is False


def test_every_option_reaches_the_look():
    values = given(
        *("--peak", "600", "--reference-white", "203", "--exposure", "-0.5"),
        *("--limit-gamut", "p3-d65", "--dither", "--verify-roundtrip"),
    )
    assert parse_look(values) == Look(600.0, 203.0, -0.5, "p3-d65")
    assert values["dither"] is True
    assert values["verify_roundtrip"] is True


def test_values_out_of_range_are_usage_errors():
    with pytest.raises(UsageError, match="--peak"):
        parse_look(given("--peak", "20"))
