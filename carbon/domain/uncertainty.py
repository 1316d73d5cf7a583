"""How sure a figure is: 95 % intervals and their first-order propagation.

Each figure is a sum of terms, each term a product of quantities whose errors have a named
source: the gain of one power sensor, the feed of one zone, the footprint of one GPU model.
An error of one source moves all its terms together, so it adds linearly over them; errors of
different sources are independent, so they add in quadrature. In a difference of two figures
a shared source cancels by itself. Lower and upper sides are carried apart, because bounds
such as "3 to 6 years of life" are not symmetric.

Relative half-widths below bound the central 95 %. Sensor: NVIDIA states ±5 %, a gain of each
card. Models: tools of that kind were up to 40 % off an external meter (arXiv 2509.22092), a
TDP estimate 27-37 % (arXiv 2506.14551). Forecast: mean errors of 8-20 % a day ahead are seen,
times 1.25 for a standard deviation, times 1.96. The others are our assumptions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from carbon.domain.energy import Method
from carbon.domain.intensity import PointKind

ENERGY_HALF_WIDTH = {
    Method.COUNTER: 0.05,
    Method.INTEGRATED: 0.07,  # the sensor's gain, and what happens between two looks
    Method.AVERAGED: 0.10,  # the mean hides rises and falls at the edges
    Method.BRIDGED: 0.05,  # the sum is the counter's; its place in time is bounded apart
    Method.IMPORTED: 0.40,  # as a model, since it may be one
    Method.MODELLED: 0.40,
    Method.ESTIMATED: 0.60,
}

INTENSITY_HALF_WIDTH = {
    PointKind.ACTUAL: 0.10,  # life-cycle factors of the plants behind the mix
    PointKind.ESTIMATED: 0.20,
    PointKind.FORECAST: 0.35,
    PointKind.TYPICAL: 0.40,
    PointKind.YEARLY: 0.50,  # an hour against its year
}

#: A site's yearly figure against one of its hours.
PUE_HALF_WIDTH = 0.05
#: Where nobody stated a PUE, 1.0 is counted and as much as the surveyed mean of 1.58 may be true
#: (Uptime Institute, 2023).
PUE_UNSET_ABOVE = 0.58


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and the bounds of its central 95 %."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"{self.value} is not within {self.low} to {self.high}")

    @classmethod
    def exact(cls, value: float) -> Interval:
        return cls(value, value, value)

    @classmethod
    def within(cls, value: float, half_width: float) -> Interval:
        """`value` ± a relative half-width."""
        margin = abs(value) * half_width
        return cls(value, value - margin, value + margin)

    def scaled(self, by: float) -> Interval:
        """Times an exact factor >= 0."""
        return Interval(self.value * by, self.low * by, self.high * by)

    def reciprocal(self) -> Interval:
        """1/x of a positive interval: the long life gives the low share."""
        return Interval(1 / self.value, 1 / self.high, 1 / self.low)

    def not_below_zero(self) -> Interval:
        return Interval(self.value, max(0.0, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Source:
    """One origin of error: relative 95 % half-widths (>= 0) below and above the value."""

    key: Hashable
    below: float
    above: float

    @classmethod
    def of(cls, key: Hashable, interval: Interval) -> Source:
        """From bounds of a positive value."""
        return cls(
            key,
            (interval.value - interval.low) / interval.value,
            (interval.high - interval.value) / interval.value,
        )


@dataclass(frozen=True, slots=True)
class Term:
    """One summand, proportional to each of its sources."""

    value: float
    sources: tuple[Source, ...]


def propagate(terms: Iterable[Term]) -> Interval:
    """The sum of terms with its interval, first order. A term may be negative."""
    values: list[float] = []
    raised: dict[Hashable, float] = defaultdict(float)
    lowered: dict[Hashable, float] = defaultdict(float)
    for term in terms:
        values.append(term.value)
        for source in term.sources:
            raised[source.key] += term.value * source.above
            lowered[source.key] -= term.value * source.below
    value = math.fsum(values)
    below = math.hypot(*(min(raised[key], lowered[key], 0.0) for key in raised))
    above = math.hypot(*(max(raised[key], lowered[key], 0.0) for key in raised))
    return Interval(value, value - below, value + above)


def product(*factors: Interval) -> Interval:
    """The product of independent positive quantities."""
    value = math.prod(factor.value for factor in factors)
    sources = tuple(Source.of(place, factor) for place, factor in enumerate(factors))
    return propagate([Term(value, sources)])


def energy_source(method: Method, device: Hashable) -> Source:
    """A sensor errs alone, with its device; a model errs alike on all devices."""
    half_width = ENERGY_HALF_WIDTH[method]
    key = ("sensor", device) if method.is_measured else ("model", method)
    return Source(key, half_width, half_width)


def intensity_source(zone: str, kind: PointKind) -> Source:
    """One zone's feed errs alike in all its hours."""
    half_width = INTENSITY_HALF_WIDTH[kind]
    return Source(("intensity", zone), half_width, half_width)


def pue_source(zone: str, is_stated: bool) -> Source:
    """What cools one zone's machines errs alike in all their hours; unset only upwards."""
    if is_stated:
        return Source(("pue", zone), PUE_HALF_WIDTH, PUE_HALF_WIDTH)
    return Source(("pue", None), 0.0, PUE_UNSET_ABOVE)
