"""Direct ridge regression per hour ahead, each zone drawn towards what all zones share.

What is learned is how far the simple forecast (profile and fading distance) is off. The
normal matrices are collected week by week, older weeks counting less; with little history the
simple forecast stays as it is, since all coefficients are drawn to 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from carbon.grid.daily_profile import Floats
from carbon.grid.forecast_features import Features, FeatureSource

#: Weight that a week's rows keep against the next one's.
WEEK_WEIGHT: Final = 0.985
#: Pseudo-rows by which a zone is drawn to the pooled solution, and that one, per zone, to 0.
OWN_ROWS: Final = 600.0
POOLED_ROWS: Final = 5.0
#: Further ahead than a day neighbouring origins tell nearly the same: each fifth is learned
#: from, which over five days meets every hour of the day.
SPARSE_BEYOND_H: Final = 24
SPARSE_STEP: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """Forecasts of one horizon for origins [start, end), scaled: (zones, origins)."""

    start: int
    end: int
    values: Features


def walk(
    source: FeatureSource,
    target: Features,
    known: NDArray[np.bool_],
    horizon_h: int,
    refits: Sequence[int],
    end: int,
    asked_from: int = 0,
) -> Iterator[Corrected]:
    """From each refit to the next one, the forecasts made with what was known at the refit.

    Parts that end by `asked_from` are learned from and not forecast.

    `target` (zones, hours) is what is forecast, scaled; `known` says which hours were measured.
    A refit at hour `r` learns from targets before `r` alone. `end` bounds the origins.
    """
    normal = _Normal(len(target))
    learned_to = source.first_origin(horizon_h)
    for refit, until in zip(refits, [*refits[1:], end], strict=True):
        last = refit - horizon_h + 1
        if last > learned_to:
            normal.add(*_rows(source, target, known, horizon_h, learned_to, last))
            learned_to = last
        if until > asked_from:
            yield Corrected(refit, until, _predict(source, normal, horizon_h, refit, until))


def _predict(
    source: FeatureSource, normal: _Normal, horizon_h: int, start: int, end: int
) -> Features:
    simple = source.simple(horizon_h, start, end)
    if normal.is_empty:
        return simple
    weights = normal.solve(source.told_features)[:, np.newaxis, :]
    learned = np.matmul(weights, source.at(horizon_h, start, end))[:, 0]
    return np.asarray(simple + learned)


def _rows(
    source: FeatureSource,
    target: Features,
    known: NDArray[np.bool_],
    horizon_h: int,
    start: int,
    end: int,
) -> tuple[Features, Features]:
    """Features and what the simple forecast missed; rows without a measured target are zero."""
    step = SPARSE_STEP if horizon_h > SPARSE_BEYOND_H else 1
    features = source.at(horizon_h, start, end, step)
    hours = slice(start + horizon_h - 1, end + horizon_h - 1, step)
    missed = target[:, hours] - source.simple(horizon_h, start, end, step)
    measured = known[:, hours]
    if not measured.all():
        features *= measured[:, np.newaxis, :]
        missed = np.where(measured, missed, np.float32(0))
    return features, missed


class _Normal:
    """The normal equations of each zone, forgetting by the week."""

    def __init__(self, zones: int) -> None:
        self._gram: Floats = np.zeros((zones, 0, 0))
        self._moment: Floats = np.zeros((zones, 0))

    @property
    def is_empty(self) -> bool:
        return self._moment.size == 0

    def add(self, features: Features, missed: Features) -> None:
        gram = np.matmul(features, features.transpose(0, 2, 1))
        moment = np.matmul(features, missed[:, :, np.newaxis])[:, :, 0]
        if self.is_empty:
            self._gram, self._moment = gram.astype(np.float64), moment.astype(np.float64)
        else:
            self._gram = WEEK_WEIGHT * self._gram + gram
            self._moment = WEEK_WEIGHT * self._moment + moment

    def solve(self, told_features: int) -> Features:
        """Coefficients (zones, features): the mean of one solution with the last
        `told_features`, which speak of other zones, and one without them.

        Other zones help where wind comes from there, and mislead where they do not; half of each
        errs less than either.
        """
        whole = self._solve(self._moment.shape[1])
        if told_features:
            alone = self._solve(self._moment.shape[1] - told_features)
            whole[:, :-told_features] += alone
            whole[:, :-told_features] /= 2
            whole[:, -told_features:] /= 2
        return whole.astype(np.float32)

    def _solve(self, features: int) -> Floats:
        """Of the first `features` alone."""
        gram, moment = self._gram[:, :features, :features], self._moment[:, :features]
        identity = np.eye(features)
        pooled = np.linalg.solve(
            gram.sum(axis=0) + POOLED_ROWS * len(gram) * identity, moment.sum(axis=0)
        )
        drawn = moment + OWN_ROWS * pooled
        own = np.linalg.solve(gram + OWN_ROWS * identity, drawn[:, :, np.newaxis])
        return np.asarray(own[:, :, 0])
