"""What is said of a conversion, to people and to scripts: its plan, and how it went."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sdr2hdr.cli.console import Console
from sdr2hdr.wording import how_many

if TYPE_CHECKING:
    from sdr2hdr.jobs.plan import Plan, Segment
    from sdr2hdr.pipeline import Conversion, ConversionSummary

__all__ = ["plan_content", "plan_lines", "planned_content", "planned_line", "report"]


def plan_lines(conversion: Conversion) -> list[str]:
    """A conversion's plan for people."""
    from sdr2hdr.cli.describe import source_lines

    return [
        *source_lines(conversion.source),
        f"method: {conversion.engine.describe()}",
        f"output: {conversion.target}, {conversion.width_px}x{conversion.height_px}, "
        + output_words(conversion),
        *(f"stream {line}" for line in stream_lines(conversion)),
    ]


def output_words(conversion: Conversion) -> str:
    """What is written, in words."""
    from sdr2hdr.media.encoding.encoders import choose_encoder
    from sdr2hdr.media.targets import target_kind

    kind = target_kind(conversion.target)
    if kind == "sequence":
        return "one picture a frame, BT.2020"
    signal = conversion.signal
    codec = (
        "Y4M"
        if kind == "pipe"
        else choose_encoder(conversion.options.encode, conversion.target).name
    )
    digits = "".join(character for character in signal.subsampling.name if character.isdigit())
    return (
        f"{codec}, BT.2020 PQ, {signal.colour_range.value} range, {signal.bit_depth}-bit {digits}"
    )


def stream_lines(conversion: Conversion) -> tuple[str, ...]:
    """What becomes of the source's streams."""
    return () if conversion.streams is None else conversion.streams.lines


def plan_content(conversion: Conversion) -> dict[str, object]:
    """A conversion's plan for scripts."""
    from sdr2hdr.cli.describe import source_content

    return {
        "input": source_content(conversion.source),
        "output": str(conversion.target),
        "method": conversion.engine.describe(),
        "width_px": conversion.width_px,
        "height_px": conversion.height_px,
        "frame_count": conversion.frame_count,
        "streams": list(stream_lines(conversion)),
        "notices": [
            {"severity": notice.severity, "text": notice.text} for notice in conversion.notices
        ],
    }


def planned_line(plan: Plan, segments: list[Segment], path: Path) -> str:
    """What is done of a plan that was made before, for people."""
    frames = sum(segment.frame_count for segment in segments)
    return (
        f"plan: {path}, segments {segments[0].index} to {segments[-1].index} of "
        f"{len(plan.segments)}, {how_many(frames, 'frame')}"
    )


def planned_content(plan: Plan, segments: list[Segment], path: Path) -> dict[str, object]:
    """The same for scripts; the frames are known now, not expected."""
    return {
        "plan": str(path),
        "key": plan.key,
        "segments": [segment.index for segment in segments],
        "frame_count": sum(segment.frame_count for segment in segments),
    }


def report(console: Console, source: Path, target: Path, summary: ConversionSummary) -> None:
    """Say what was done."""
    from rich.filesize import decimal

    own_frames = summary.frames - summary.resumed_frames
    frames_per_second = own_frames / max(summary.elapsed_seconds, 1e-9)
    frames = how_many(summary.frames, "frame")
    speed = f" ({frames_per_second:.2f} fps)"
    if not own_frames:
        frames, speed = f"{frames}, converted before,", ""
    elif summary.resumed_frames:
        frames += f", {own_frames} of them"
    console.say(
        f"{target}: {frames} in {summary.elapsed_seconds:.1f} s{speed}, "
        f"{decimal(summary.size_bytes)}, MaxCLL {summary.light.max_cll}, "
        f"MaxFALL {summary.light.max_fall} cd/m2."
    )
    for shot in summary.roundtrips:
        score = shot.score
        verdict = "imperceptible" if score.imperceptible else "perceptible"
        console.say(
            f"{target}: shot from frame {shot.first_frame} on, {how_many(score.frames, 'frame')}: "
            f"taken back to SDR, Delta E ITP to the source is {score.mean:.3f} on average, "
            f"{score.p99:.3f} at the 99th percentile, {score.maximum:.3f} at most: {verdict}."
        )
    if console.json:
        console.event(
            "done",
            {
                "input": str(source),
                "output": str(target),
                "frames": summary.frames,
                "resumed_frames": summary.resumed_frames,
                "damage": {
                    "packets_failed": summary.damage.packets_failed,
                    "frames_corrupt": summary.damage.frames_corrupt,
                    "frames_lost": summary.damage.frames_lost,
                },
                "elapsed_seconds": round(summary.elapsed_seconds, 3),
                "size_bytes": summary.size_bytes,
                "light_levels": asdict(summary.light),
                "flicker": [asdict(shot) for shot in summary.flicker],
                "roundtrips": [
                    {"first_frame": shot.first_frame, **asdict(shot.score)}
                    for shot in summary.roundtrips
                ],
            },
        )
