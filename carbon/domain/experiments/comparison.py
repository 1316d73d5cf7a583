"""The effect of the treatment over interleaved blocks, free of a steady drift.

Each block gives one figure, y. Least squares on ln y = site + drift·place + effect·arm over blocks
in order of time: in A/B/A/B every treatment block comes later than its baseline block, so a plain
difference of pairs would count a warming machine as an effect. Where noise persists from block to
block, alternating arms make the stated interval too wide rather than too narrow. Logarithms, since
noise, drift and what a site has of its own are parts of what is drawn: no interval then reaches
below nothing. Figures that may be 0 or less, such as a quality, are fitted as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from carbon.domain.experiments.arms import Block, interleaved
from carbon.domain.experiments.student import t_quantile

#: Intervals are shown at 95 %. A verdict is repeated by others as a fact, so it must hold at 99 %.
SHOWN: Final = 0.95
VERDICT: Final = 0.99


@dataclass(frozen=True, slots=True)
class Delta:
    """Treatment less baseline, per functional unit, with the bounds of its central 95 %."""

    baseline: float
    treatment: float
    value: float
    low: float
    high: float
    #: The bounds at the verdict's confidence.
    verdict_low: float
    verdict_high: float

    @property
    def relative(self) -> float | None:
        return self.value / self.baseline if self.baseline else None

    @property
    def relative_bounds(self) -> tuple[float, float] | None:
        """Against the baseline's mean."""
        if not self.baseline:
            return None
        bounds = sorted((self.low / self.baseline, self.high / self.baseline))
        return bounds[0], bounds[1]

    def widened(self, half_width: float) -> Delta:
        """With an error beside the blocks' own: an absolute half-width at 95 %."""
        at_verdict = half_width * _NORMAL_99 / _NORMAL_95
        return Delta(
            self.baseline,
            self.treatment,
            self.value,
            self.value - math.hypot(self.value - self.low, half_width),
            self.value + math.hypot(self.high - self.value, half_width),
            self.value - math.hypot(self.value - self.verdict_low, at_verdict),
            self.value + math.hypot(self.verdict_high - self.value, at_verdict),
        )


_NORMAL_95, _NORMAL_99 = 1.959964, 2.575829


def delta(
    baseline: Sequence[Block], treatment: Sequence[Block], figure: Callable[[Block], float]
) -> Delta:
    """Raises ValueError below two blocks of each arm, or where nothing is left to judge the
    noise by."""
    if min(len(baseline), len(treatment)) < 2:
        raise ValueError("an arm needs two blocks")
    rows = _rows(baseline, treatment)
    ys = [figure(block) for block, _, _, _ in rows]
    columns = _columns(rows, interleaved(baseline, treatment))
    means = [_mean(map(figure, blocks)) for blocks in (baseline, treatment)]
    if min(ys) > 0:
        fitted = _fitted(columns, [math.log(y) for y in ys])
        value, *bounds = (means[0] * math.expm1(x) for x in fitted)
    else:
        value, *bounds = _fitted(columns, ys)
    return Delta(means[0], means[1], value, *bounds)


def _fitted(columns: Sequence[Sequence[float]], ys: Sequence[float]) -> tuple[float, ...]:
    """Effect, its bounds as they are shown, and those of the verdict."""
    effect, error, degrees = _least_squares(columns, ys)
    shown, verdict = (error * t_quantile(0.5 + level / 2, degrees) for level in (SHOWN, VERDICT))
    return effect, effect - shown, effect + shown, effect - verdict, effect + verdict


_Row = tuple[Block, int, int, int]


def _rows(baseline: Sequence[Block], treatment: Sequence[Block]) -> list[_Row]:
    """(block, arm, number of its site, place within its site) in order of time."""
    both = [(block, arm) for arm, blocks in enumerate((baseline, treatment)) for block in blocks]
    sites = {site: n for n, site in enumerate(sorted({block.site for block, _ in both}))}
    places = dict.fromkeys(sites, 0)
    found = []
    for block, arm in sorted(both, key=lambda pair: (pair[0].start_ms, pair[1])):
        found.append((block, arm, sites[block.site], places[block.site]))
        places[block.site] += 1
    return found


def _columns(rows: Sequence[_Row], with_drift: bool) -> list[list[float]]:
    """Arm first, then one for each site, and the drift of each where it can be told apart."""
    site_count = 1 + max(site for _, _, site, _ in rows)
    arm = [float(arm) for _, arm, _, _ in rows]
    sites = [[float(site == n) for _, _, site, _ in rows] for n in range(site_count)]
    drifts = []
    if with_drift and len(rows) > 2 + 2 * site_count:
        drifts = [
            [float(place) if site == n else 0.0 for _, _, site, place in rows]
            for n in range(site_count)
        ]
    return [arm, *sites, *drifts]


def _least_squares(
    columns: Sequence[Sequence[float]], ys: Sequence[float]
) -> tuple[float, float, int]:
    """(coefficient of the first column, its standard error, degrees of freedom): what is left
    of it beside the others, by Gram-Schmidt."""
    basis: list[list[float]] = []
    for column in columns[1:]:
        left = _without(column, basis)
        if _dot(left, left) > 1e-9 * max(1.0, _dot(column, column)):
            basis.append(left)
    own = _without(columns[0], basis)
    weight = _dot(own, own)
    degrees = len(ys) - len(basis) - 1
    if weight < 1e-9 or degrees < 1:
        raise ValueError("the arms cannot be told apart from site and drift")
    y = _without(ys, basis)
    effect = _dot(own, y) / weight
    rest = [value - effect * part for value, part in zip(y, own, strict=True)]
    return effect, math.sqrt(_dot(rest, rest) / degrees / weight), degrees


def _without(column: Sequence[float], basis: Sequence[Sequence[float]]) -> list[float]:
    left = list(column)
    for part in basis:
        share = _dot(left, part) / _dot(part, part)
        left = [value - share * p for value, p in zip(left, part, strict=True)]
    return left


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def _mean(values: map[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def pairs_needed(effect: float, noise: float, power: float = 0.9, most: int = 1000) -> int:
    """Blocks of each arm with which a true relative `effect` is found with `power`, where one
    block's figure varies by a relative `noise` (standard deviation). At least 4, at most `most`.

    By the normal approximation to the non-central t with t's own quantiles, plus one block.
    """
    if not (effect > 0 and noise >= 0 and 0 < power < 1):
        raise ValueError("effect and power must be above 0")
    for pairs in range(4, most):
        degrees = 2 * pairs - 3
        error = noise * math.sqrt(2 / pairs * (1 + 1 / pairs**2))
        wanted = t_quantile(0.5 + VERDICT / 2, degrees) + t_quantile(power, degrees)
        if error * wanted <= effect:
            return pairs + 1
    return most
