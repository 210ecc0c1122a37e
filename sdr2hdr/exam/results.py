"""What an exam found: a row for each answer, facts for each method, and their sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sdr2hdr.exam.frames import Part
from sdr2hdr.exam.methods import MethodKind

__all__ = ["COMMON_GAINS_STOPS", "ExamResult", "MethodResult", "Row", "Summary", "summarise"]


COMMON_GAINS_STOPS = tuple(fifths / 5 for fifths in range(-8, 9))
"""Gains of which one is looked for that suits all real pairs: a user's `--exposure`."""


@dataclass(frozen=True)
class Row:
    """One answer.

    Attributes:
        part: See `ExamFrame`.
        scene: See `ExamFrame`.
        group: See `ExamFrame`.
        psnr_db: Of PQ R'G'B'.
        aligned_psnr_db: The same after the gain that suits this frame best; of real pairs only.
        gain_stops: That gain.
        psnr_by_gain_db: After each of `COMMON_GAINS_STOPS`; of real pairs only.
        brightest_cd_m2: Of the frame's brightest pixels, where lamps or the sun are in view and
            the reference shows them at 800 cd/m2 or more.
    """

    part: Part
    scene: str
    group: str
    psnr_db: float
    ssim: float
    delta_e_itp: float
    aligned_psnr_db: float | None = None
    gain_stops: float | None = None
    psnr_by_gain_db: tuple[float, ...] | None = None
    brightest_cd_m2: float | None = None


@dataclass(frozen=True)
class Summary:
    """Rows summed up: means, and the worst of them by PSNR, SSIM and Delta E ITP."""

    frames: int
    psnr_db: float
    ssim: float
    delta_e_itp: float
    worst_psnr_db: float
    worst_ssim: float
    worst_delta_e_itp: float


def summarise(rows: Iterable[Row]) -> Summary:
    """Sum rows up, each counting the same; at least one."""
    rows = list(rows)
    return Summary(
        len(rows),
        _mean(row.psnr_db for row in rows),
        _mean(row.ssim for row in rows),
        _mean(row.delta_e_itp for row in rows),
        min(row.psnr_db for row in rows),
        min(row.ssim for row in rows),
        max(row.delta_e_itp for row in rows),
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)


@dataclass(frozen=True)
class MethodResult:
    """All that was found about one method.

    Attributes:
        facts: Numbers of made-up pictures and crops; see `measures.pattern_facts`.
    """

    name: str
    model: str
    kind: MethodKind
    scale: int
    rows: tuple[Row, ...]
    facts: dict[str, float]

    def anchored(self) -> Summary:
        """Over all scenes and down-conversions, clean and compressed."""
        return summarise(row for row in self.rows if row.part in ("clean", "compressed"))

    def part(self, part: Part) -> Summary:
        """Over one part."""
        return summarise(row for row in self.rows if row.part == part)

    def by_operator(self) -> dict[str, Summary]:
        """For each down-conversion, clean and compressed together."""
        return self._grouped(lambda row: row.part in ("clean", "compressed"))

    def by_pair(self) -> dict[str, Summary]:
        """For each real pair."""
        return self._grouped(lambda row: row.part == "pair")

    def aligned_pairs_psnr_db(self) -> float:
        """Mean over the real pairs, each after the gain that suits it best."""
        return _mean(row.aligned_psnr_db for row in self.rows if row.aligned_psnr_db is not None)

    def common_gain(self) -> tuple[float, float]:
        """The one gain, in stops, that suits all real pairs together, and their mean PSNR then."""
        found = [row.psnr_by_gain_db for row in self.rows if row.psnr_by_gain_db is not None]
        means = [_mean(values) for values in zip(*found, strict=True)]
        best = max(range(len(means)), key=means.__getitem__)
        return COMMON_GAINS_STOPS[best], means[best]

    def ladder_loss_db(self, part: Part = "ladder") -> dict[str, float]:
        """For each quantiser, the mean PSNR lost against the clean picture.

        Args:
            part: "ladder" for scenes, "pair ladder" for real pairs.
        """
        groups = self._grouped(lambda row: row.part == part)
        clean = groups.pop("clean").psnr_db
        return {name: clean - summary.psnr_db for name, summary in groups.items()}

    def highlights_cd_m2(self) -> dict[str, float]:
        """For each scene with lamps or sun, the brightest pixels' light, mean over its frames."""
        scenes: dict[str, list[float]] = {}
        for row in self.rows:
            if row.brightest_cd_m2 is not None:
                scenes.setdefault(row.scene, []).append(row.brightest_cd_m2)
        return {scene: _mean(values) for scene, values in scenes.items()}

    def _grouped(self, wanted: Callable[[Row], bool]) -> dict[str, Summary]:
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            if wanted(row):
                groups.setdefault(row.group, []).append(row)
        return {name: summarise(rows) for name, rows in groups.items()}


@dataclass(frozen=True)
class ExamResult:
    """A whole exam.

    Attributes:
        set_name: See `ExamSet`.
        set_sha256: See `ExamSet`.
        methods: In the order they are shown in.
    """

    set_name: str
    set_sha256: str
    scenes: int
    pairs: int
    methods: tuple[MethodResult, ...]

    def at_scale(self, scale: int) -> tuple[MethodResult, ...]:
        """The methods that were shown the same frames."""
        return tuple(method for method in self.methods if method.scale == scale)

    def scales(self) -> list[int]:
        """All scales, in order."""
        return sorted({method.scale for method in self.methods})

    def network(self, model: str) -> MethodResult | None:
        """A network's own result, or None if it was not examined."""
        found = (m for m in self.methods if m.kind == "network" and m.model == model)
        return next(found, None)
