"""Scores of many groups of rows at once, by columns: to the bit what `domain.sci.score` says of
each, without an object for every device.

Whole numbers are summed as such. Errors are added term by term in the order in which `score` meets
them, so that not even the last bit of a bound differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from carbon.domain.energy import Method
from carbon.domain.intensity import PointKind
from carbon.domain.sci import Score, no_score
from carbon.domain.uncertainty import (
    Interval,
    Source,
    energy_source,
    intensity_source,
    pue_source,
)
from carbon.domain.units import NG_PER_G
from carbon.services.sci.held_devices import Share, charged
from carbon.storage.columns import Ints, summed
from carbon.storage.ratings import Rating

Floats = np.ndarray[Any, np.dtype[np.float64]]
#: (group, device) → how the device's reserved time is charged.
SharesOf = Callable[[int, int], Sequence[Share]]


@dataclass(frozen=True)
class Rows:
    """Rows of a ledger, (n,) each; `device` may be whatever errs alone, as a model."""

    device: Ints
    method: Ints
    rating: Ints
    energy_mj: Ints
    operational_ng: Ints
    covered_ms: Ints
    reserved_ms: Ints

    @cached_property
    def is_measured(self) -> Any:
        return _by_value(self.method, lambda method: Method(method).is_measured)


def scores(
    rows: Rows,
    group: Ints,
    counts: Sequence[int | float],
    ratings: Mapping[int, Rating],
    shares_of: SharesOf,
) -> list[Score]:
    """Of the groups 0, 1 …, each of which has a row and is counted in `counts`."""
    groups = len(counts)
    if not groups:
        return []
    book = _Sources()
    operational = _operational(rows, group, ratings, book)
    embodied = _embodied(rows, group, shares_of, book)
    embodied_ng = [0] * groups
    for one, mass_ng in zip(embodied.group.tolist(), embodied.mass_ng, strict=True):
        embodied_ng[one] += mass_ng
    measured = np.where(rows.is_measured, rows.operational_ng, 0)
    energy_mj, measured_ng, all_ng, covered_ms = (
        exact_sums(values, group, groups)
        for values in (rows.energy_mj, measured, rows.operational_ng, rows.covered_ms)
    )
    methods, zones = _methods(rows, group, energy_mj), _zones(rows, group, groups, ratings)
    totals = _intervals(operational.and_then(embodied), groups)
    return [
        Score(
            count=count,
            energy_mj=energy_mj[one],
            measured_ng=measured_ng[one],
            estimated_ng=all_ng[one] - measured_ng[one],
            embodied_ng=embodied_ng[one],
            covered_ms=covered_ms[one],
            methods=methods[one],
            zones=zones[one],
            reason=no_score(energy_mj[one] or all_ng[one], count),
            total=totals[one],
        )
        for one, count in enumerate(counts)
    ]


def exact_sum(values: Ints) -> int:
    [whole] = exact_sums(values, np.zeros_like(values), 1)
    return whole


def exact_sums(values: Ints, group: Ints, groups: int) -> list[int]:
    """Of each group, as wide as it has to be: a fleet's nanograms of some years pass 64 bits."""
    sums = np.zeros((2, groups), dtype=np.int64)
    np.add.at(sums[0], group, values >> 32)
    np.add.at(sums[1], group, values & 0xFFFFFFFF)
    return [(high << 32) + low for high, low in zip(*sums.tolist(), strict=True)]


def _by_value(column: Ints, told: Callable[[int], Any]) -> Any:
    """What is told of each row's value, asked once of each that there is."""
    known, place = np.unique(column, return_inverse=True)
    return np.array([told(value) for value in known.tolist()])[place]


def _methods(rows: Rows, group: Ints, energy_mj: Sequence[int]) -> list[dict[str, float]]:
    found: list[dict[str, float]] = [{} for _ in energy_mj]
    for one, method, mj in summed((group, rows.method), [rows.energy_mj]).tolist():
        if mj:
            found[one][Method(method).label] = mj / energy_mj[one]
    return found


def _zones(
    rows: Rows, group: Ints, groups: int, ratings: Mapping[int, Rating]
) -> list[tuple[str, ...]]:
    found: list[set[str]] = [set() for _ in range(groups)]
    for one, rating in summed((group, rows.rating), []).tolist():
        found[one].add(ratings[rating].zone)
    return [tuple(sorted(zones)) for zones in found]


@dataclass(frozen=True)
class _Terms:
    """Summands with their up to three sources of error: (terms, 3) the number of each one's key, -1
    where there is none, and its half-widths.

    Sources of one key move together.
    """

    group: Ints
    mass_ng: Sequence[int]
    key: Ints
    below: Floats
    above: Floats

    def and_then(self, others: _Terms) -> _Terms:
        """By group, of each group these first."""
        group = np.concatenate([self.group, others.group])
        order = np.argsort(group, kind="stable")
        masses = [*self.mass_ng, *others.mass_ng]
        return _Terms(
            group[order],
            [masses[place] for place in order.tolist()],
            np.concatenate([self.key, others.key])[order],
            np.concatenate([self.below, others.below])[order],
            np.concatenate([self.above, others.above])[order],
        )


#: Numbers of the keys of devices' sensors begin here.
_SENSORS = 1 << 40


class _Sources:
    """Distinct sources of error and their keys, numbered."""

    def __init__(self) -> None:
        self._sources: list[Source] = []
        self._places: dict[Source, int] = {}
        self._keys: dict[Hashable, int] = {}

    def place(self, source: Source) -> int:
        if source not in self._places:
            self._places[source] = len(self._sources)
            self._sources.append(source)
        return self._places[source]

    def of_price(self, method: Method, rating: Rating) -> tuple[int, int, int]:
        """A sensor's stands for those of all devices here."""
        kind = PointKind(rating.kind)
        return (
            self.place(energy_source(method, None)),
            self.place(intensity_source(rating.zone, kind)),
            self.place(pue_source(rating.zone, rating.pue_is_stated)),
        )

    def terms(self, group: Ints, mass_ng: Sequence[int], places: Ints) -> _Terms:
        """Of terms with their sources' `places`, (terms, 3)."""
        numbers = [self._keys.setdefault(s.key, len(self._keys)) for s in self._sources]
        # One more, for the place -1.
        key = np.array([*numbers, -1], dtype=np.int64)
        below = np.array([*(s.below for s in self._sources), 0.0])
        above = np.array([*(s.above for s in self._sources), 0.0])
        return _Terms(group, mass_ng, key[places], below[places], above[places])


def _operational(rows: Rows, group: Ints, ratings: Mapping[int, Rating], book: _Sources) -> _Terms:
    """One for rows that err alike, in the order of the first of each."""
    priced = rows.rating * 16 + rows.method
    known, place = np.unique(priced, return_inverse=True)
    kinds: dict[tuple[int, ...], int] = {}
    of_kind = [book.of_price(Method(p % 16), ratings[p // 16]) for p in known.tolist()]
    kind = np.array([kinds.setdefault(one, len(kinds)) for one in of_kind], dtype=np.int64)[place]
    # A model errs alike on all devices.
    own_device = np.where(rows.is_measured, rows.device, np.int64(0))
    number, firsts = first_seen(group, kind, own_device)
    sums = exact_sums(rows.operational_ng, number, len(firsts))
    places = np.array(list(kinds), dtype=np.int64).reshape(-1, 3)[kind[firsts]]
    terms = book.terms(group[firsts], sums, places)
    is_sensor = rows.is_measured[firsts]
    terms.key[is_sensor, 0] = _SENSORS + rows.device[firsts][is_sensor]
    return terms


def _embodied(rows: Rows, group: Ints, shares_of: SharesOf, book: _Sources) -> _Terms:
    """In order of group and device. Devices that are alike are often held for equal times."""
    told: dict[tuple[int, int], tuple[Sequence[Share], list[_Part]]] = {}
    groups: list[int] = []
    mass_ng: list[int] = []
    places: list[tuple[int, int, int]] = []
    for one, device, reserved_ms in summed((group, rows.device), [rows.reserved_ms]).tolist():
        if not reserved_ms:
            continue
        shares = shares_of(one, device)
        like = id(shares), reserved_ms  # kept with the shares, so that no others get their id
        if like not in told:
            told[like] = shares, _parts(shares, reserved_ms, book)
        for part_ng, sources in told[like][1]:
            groups.append(one)
            mass_ng.append(part_ng)
            places.append(sources)
    return book.terms(
        np.array(groups, dtype=np.int64), mass_ng, np.array(places, dtype=np.int64).reshape(-1, 3)
    )


#: ng, and the places of its sources.
_Part = tuple[int, tuple[int, int, int]]


def _parts(shares: Sequence[Share], reserved_ms: int, book: _Sources) -> list[_Part]:
    found = []
    for share, _, part_ng in charged(shares, reserved_ms):
        factor, years = share.sources
        found.append((part_ng, (book.place(factor), book.place(years), -1)))
    return found


def first_seen(*keys: Ints) -> tuple[Ints, Ints]:
    """Each row's number among distinct keys in order of their first rows, and those rows."""
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        known, place = np.unique(key, return_inverse=True)
        packed = packed * len(known) + place
    _, firsts, place = np.unique(packed, return_index=True, return_inverse=True)
    order = np.argsort(firsts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[place], firsts[order]


def _intervals(terms: _Terms, groups: int) -> list[Interval]:
    """As `propagate` of each group's terms, in grams."""
    masses = list(map(float, terms.mass_ng))
    ends = np.searchsorted(terms.group, np.arange(groups + 1))
    sides = _sides(terms, np.array(masses), groups)
    return [
        _interval(math.fsum(masses[lo:hi]), below, above)
        for (lo, hi), (below, above) in zip(pairwise(ends.tolist()), sides, strict=True)
    ]


def _interval(value_ng: float, below_ng: float, above_ng: float) -> Interval:
    whole = Interval(value_ng, value_ng - below_ng, value_ng + above_ng)
    return whole.scaled(1 / NG_PER_G).not_below_zero()


def _sides(terms: _Terms, masses: Floats, groups: int) -> Iterator[tuple[float, float]]:
    """(below, above) of each group: what shares a key adds linearly, keys in quadrature."""
    is_there = terms.key.ravel() >= 0
    group, value = np.repeat(terms.group, 3)[is_there], np.repeat(masses, 3)[is_there]
    number, firsts = first_seen(group, terms.key.ravel()[is_there])
    # Adds one after the other, as a loop would: NumPy's own sums are in pairs.
    raised = np.bincount(number, value * terms.above.ravel()[is_there], len(firsts))
    lowered = -np.bincount(number, value * terms.below.ravel()[is_there], len(firsts))
    lowest = np.minimum(np.minimum(raised, lowered), 0.0).tolist()
    highest = np.maximum(np.maximum(raised, lowered), 0.0).tolist()
    ends = np.searchsorted(group[firsts], np.arange(groups + 1))
    for lo, hi in pairwise(ends.tolist()):
        yield math.hypot(*lowest[lo:hi]), math.hypot(*highest[lo:hi])
