"""What looking at a file brings to light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Severity", "has_error"]

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing that is not as a rule wants it, or is worth knowing.

    Attributes:
        rule: The rule's short name, the same in every version.
        place: Where: "stream", "container", "decoder", "picture", "file", or a stream's number.
        found: What is there.
        expected: What the rule says.
        source: The standard and clause that the rule comes from.
    """

    severity: Severity
    rule: str
    place: str
    found: str
    expected: str
    source: str

    def __str__(self) -> str:
        return (
            f"{self.severity}: {self.rule} ({self.place}): {self.found}; expected "
            f"{self.expected} [{self.source}]"
        )


def has_error(findings: Iterable[Finding]) -> bool:
    """Whether any of them is an error."""
    return any(finding.severity == "error" for finding in findings)
