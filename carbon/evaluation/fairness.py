"""Accuracy by group and equalised odds of two arms on the same examples, with intervals.

Paired bootstrap: the examples of a cell are drawn anew as a multinomial of its four counts, which
is what drawing single examples with replacement within group and label gives. Definitions as in
fairlearn: equalised odds difference is the larger of the spreads between groups of the true and
the false positive rate. An average can hide a group, hence the worst one counts (Hooker et al.,
arXiv 2010.03058), and agreement of the arms is shown beside accuracy (arXiv 2510.06125).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from carbon.domain.uncertainty import Interval
from carbon.evaluation.answers import Cell, withheld

RESAMPLES: Final = 2_000
#: The truth of a yes-or-no question; equalised odds has no meaning for others.
BINARY: Final = frozenset({"0", "1"})
#: Below so many disagreements McNemar's statistic is the exact binomial one.
_EXACT_BELOW: Final = 25

Counts = NDArray[np.int64]
Rates = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GroupFinding:
    group: str
    examples: int
    baseline_accuracy: float
    treatment_accuracy: float
    #: Loss of accuracy: above 0 where the treatment is worse.
    loss: Interval
    #: Share of examples on which the arms are both right or both wrong.
    agreement: float
    #: Of the hypothesis that neither arm is right more often (McNemar).
    p_value: float


@dataclass(frozen=True, slots=True)
class Fairness:
    examples: int
    loss: Interval
    #: In order of name, without those that are too small.
    groups: tuple[GroupFinding, ...]
    withheld: int
    worst_group: str | None
    worst_group_loss: Interval | None
    #: Treatment less baseline; None without binary labels or with one group alone.
    equalised_odds_change: Interval | None
    p_value: float


def judge(cells: Sequence[Cell], seed: int = 1, resamples: int = RESAMPLES) -> Fairness:
    """Raises ValueError without examples."""
    if not sum(cell.total for cell in cells):
        raise ValueError("no examples")
    hidden = withheld(cells)
    seen = [cell for cell in cells if cell.group not in hidden and cell.total]
    drawn = _drawn([cell.counts for cell in cells], seed, resamples)
    by_cell = {id(cell): drawn[:, n] for n, cell in enumerate(cells)}
    names = sorted({cell.group for cell in seen})
    groups = {name: [cell for cell in seen if cell.group == name] for name in names}
    losses = {
        name: np.stack([by_cell[id(cell)] for cell in own]).sum(0) for name, own in groups.items()
    }
    found = tuple(_group(name, own, losses[name]) for name, own in groups.items())
    worst = max(found, key=lambda group: group.loss.value, default=None)
    both = np.array([cell.counts for cell in cells]).sum(0)
    return Fairness(
        examples=int(both.sum()),
        loss=_interval(float(_loss(both)), _loss(drawn.sum(1))),
        groups=found,
        withheld=len(hidden),
        worst_group=worst.group if worst else None,
        worst_group_loss=_worst(found, losses) if worst else None,
        equalised_odds_change=_odds_change(groups, by_cell),
        p_value=mcnemar(int(both[1]), int(both[2])),
    )


def mcnemar(baseline_only: int, treatment_only: int) -> float:
    """Two-sided p-value of as many or more one-sided disagreements by chance."""
    n, less = baseline_only + treatment_only, min(baseline_only, treatment_only)
    if n == 0:
        return 1.0
    if n < _EXACT_BELOW:
        tail = sum(math.comb(n, k) for k in range(less + 1)) / float(2**n)
        return min(1.0, 2 * tail)
    z = max(0.0, abs(baseline_only - treatment_only) - 1) / math.sqrt(n)
    return math.erfc(z / math.sqrt(2))


def _drawn(counts: Sequence[tuple[int, ...]], seed: int, resamples: int) -> Counts:
    """[resample, cell, outcome]. Half a count more in each outcome: a cell in which nothing went
    wrong would otherwise claim that nothing can."""
    rng = np.random.default_rng(seed)
    drawn = np.empty((resamples, len(counts), 4), dtype=np.int64)
    for n, cell in enumerate(counts):
        weights = np.array(cell, dtype=float) + 0.5
        drawn[:, n] = rng.multinomial(sum(cell), weights / weights.sum(), size=resamples)
    return drawn


def _loss(counts: Counts) -> Any:
    """Accuracy of the baseline less that of the treatment, over the last axis."""
    return (counts[..., 1] - counts[..., 2]) / counts.sum(-1)


def _interval(value: float, drawn: Rates) -> Interval:
    low, high = (float(x) for x in np.quantile(drawn, (0.025, 0.975)))
    return Interval(value, min(low, value), max(high, value))


def _group(name: str, cells: Sequence[Cell], drawn: Counts) -> GroupFinding:
    right, baseline_only, treatment_only, wrong = (
        int(n) for n in np.array([cell.counts for cell in cells]).sum(0)
    )
    total = right + baseline_only + treatment_only + wrong
    return GroupFinding(
        name,
        total,
        (right + baseline_only) / total,
        (right + treatment_only) / total,
        _interval((baseline_only - treatment_only) / total, _loss(drawn)),
        (right + wrong) / total,
        mcnemar(baseline_only, treatment_only),
    )


def _worst(found: Sequence[GroupFinding], losses: dict[str, Counts]) -> Interval:
    """Of the group that lost most. The upper bound is the highest of any group's: which one is
    worst was not known before."""
    value = max(group.loss.value for group in found)
    low = float(np.quantile(np.max([_loss(drawn) for drawn in losses.values()], axis=0), 0.025))
    high = max(group.loss.high for group in found)
    return Interval(value, min(low, value), high)


def _odds_change(groups: dict[str, list[Cell]], drawn: dict[int, Counts]) -> Interval | None:
    is_binary = {cell.label for own in groups.values() for cell in own} <= BINARY
    if not is_binary or len(groups) < 2:
        return None
    told: dict[int, Counts] = {
        id(cell): np.array(cell.counts) for own in groups.values() for cell in own
    }
    value = _odds(groups, told, arm=1) - _odds(groups, told, arm=0)
    change = _odds(groups, drawn, arm=1) - _odds(groups, drawn, arm=0)
    return _interval(float(value), change)


def _odds(groups: dict[str, list[Cell]], counts: dict[int, Counts], arm: int) -> Any:
    """Equalised odds difference of one arm: the larger spread of TPR and FPR."""
    spreads = []
    for label in sorted(BINARY):
        rates = []
        for own in groups.values():
            for cell in (cell for cell in own if cell.label == label):
                of = counts[id(cell)]
                right = (of[..., 0] + of[..., 1 + arm]) / of.sum(-1)
                rates.append(right)
        if len(rates) > 1:
            spreads.append(np.max(rates, axis=0) - np.min(rates, axis=0))
    return np.max(spreads, axis=0) if spreads else 0.0
