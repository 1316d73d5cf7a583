"""Scores of many groups of rows at once, by columns: to the bit what `domain.sci.score` says of
each, without an object for every device.

Whole numbers are summed as such. Errors are added term by term in the order in which `score` meets
them, so that not even the last bit of a bound differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    embodied = _embodied(rows, group, shares_of)
    embodied_ng = [0] * groups
    for one, mass_ng in zip(embodied.groups, embodied.mass_ng, strict=True):
        embodied_ng[one] += mass_ng
    measured = np.where(rows.is_measured, rows.operational_ng, 0)
    energy_mj, measured_ng, all_ng, covered_ms = (
        exact_sums(values, group, groups)
        for values in (rows.energy_mj, measured, rows.operational_ng, rows.covered_ms)
    )
    methods, zones = _methods(rows, group, energy_mj), _zones(rows, group, groups, ratings)
    totals = _intervals(_operational(rows, group, ratings), embodied, groups)
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
    """Summands with their sources of error: of each (terms, 3) places among `sources`, -1 for none.

    Sources of one key move together.
    """

    groups: Sequence[int]
    mass_ng: Sequence[int]
    places: Ints
    sources: Sequence[Source]


def _operational(rows: Rows, group: Ints, ratings: Mapping[int, Rating]) -> _Terms:
    """One for rows that err alike, in the order of the first of each."""
    book = _Sources()
    priced = rows.rating * 16 + rows.method
    known, place = np.unique(priced, return_inverse=True)
    kinds: dict[tuple[int, ...], int] = {}
    of_kind = [book.of_price(Method(p % 16), ratings[p // 16]) for p in known.tolist()]
    kind = np.array([kinds.setdefault(one, len(kinds)) for one in of_kind], dtype=np.int64)[place]
    # A model errs alike on all devices.
    own_device = np.where(rows.is_measured, rows.device, np.int64(0))
    number, firsts = _first_seen(group, kind, own_device)
    sums = exact_sums(rows.operational_ng, number, len(firsts))
    told = np.array(list(kinds), dtype=np.int64).reshape(-1, 3)[kind[firsts]]
    sensors: dict[tuple[int, int], int] = {}
    devices, widths = rows.device[firsts].tolist(), told[:, 0].tolist()
    for n in np.flatnonzero(rows.is_measured[firsts]).tolist():
        sensor = devices[n], widths[n]
        if sensor not in sensors:
            sensors[sensor] = book.of_device(*sensor)
        told[n, 0] = sensors[sensor]
    return _Terms(group[firsts].tolist(), sums, told, book.sources)


class _Sources:
    """Distinct sources of error, numbered."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self._places: dict[Source, int] = {}

    def place(self, source: Source) -> int:
        if source not in self._places:
            self._places[source] = len(self.sources)
            self.sources.append(source)
        return self._places[source]

    def of_price(self, method: Method, rating: Rating) -> tuple[int, int, int]:
        """A sensor's stands for all devices here."""
        kind = PointKind(rating.kind)
        return (
            self.place(energy_source(method, None)),
            self.place(intensity_source(rating.zone, kind)),
            self.place(pue_source(rating.zone, rating.pue_is_stated)),
        )

    def of_device(self, device: int, like: int) -> int:
        """The source of one device's sensor, which errs as another's."""
        width = self.sources[like]
        self.sources.append(Source(("sensor", device), width.below, width.above))
        return len(self.sources) - 1


def _embodied(rows: Rows, group: Ints, shares_of: SharesOf) -> _Terms:
    book = _Sources()
    pairs: dict[tuple[str, str], tuple[int, int, int]] = {}
    groups: list[int] = []
    mass_ng: list[int] = []
    places: list[tuple[int, int, int]] = []
    for one, device, reserved_ms in summed((group, rows.device), [rows.reserved_ms]).tolist():
        if not reserved_ms:
            continue
        for share, _, part_ng in charged(shares_of(one, device), reserved_ms):
            key = share.factor.id, share.lifespan.id
            if key not in pairs:
                factor, years = share.sources
                pairs[key] = book.place(factor), book.place(years), -1
            groups.append(one)
            mass_ng.append(part_ng)
            places.append(pairs[key])
    told = np.array(places, dtype=np.int64).reshape(-1, 3)
    return _Terms(groups, mass_ng, told, book.sources)


def _first_seen(*keys: Ints) -> tuple[Ints, Ints]:
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


def _intervals(operational: _Terms, embodied: _Terms, groups: int) -> list[Interval]:
    """As `propagate` of each group's terms, in grams."""
    sources = [*operational.sources, *embodied.sources]
    shift = len(operational.sources)
    places = np.concatenate(
        [operational.places, np.where(embodied.places < 0, -1, embodied.places + shift)]
    )
    mass_ng = [*operational.mass_ng, *embodied.mass_ng]
    group = np.array([*operational.groups, *embodied.groups], dtype=np.int64)
    order = np.argsort(group, kind="stable")
    group, values, places = group[order], np.array(mass_ng, dtype=np.float64)[order], places[order]
    ends = np.searchsorted(group, np.arange(groups + 1))
    sides = _sides(sources, group, values, places, groups)
    masses = values.tolist()
    return [
        _interval(math.fsum(masses[lo:hi]), below, above)
        for (lo, hi), (below, above) in zip(pairwise(ends.tolist()), sides, strict=True)
    ]


def _interval(value_ng: float, below_ng: float, above_ng: float) -> Interval:
    whole = Interval(value_ng, value_ng - below_ng, value_ng + above_ng)
    return whole.scaled(1 / NG_PER_G).not_below_zero()


def _sides(
    sources: Sequence[Source], group: Ints, values: Floats, places: Ints, groups: int
) -> Iterator[tuple[float, float]]:
    """(below, above) of each group: what shares a key adds linearly, keys in quadrature."""
    keys: dict[Any, int] = {}
    key_of = np.array([keys.setdefault(s.key, len(keys)) for s in sources], dtype=np.int64)
    above_of = np.array([source.above for source in sources], dtype=np.float64)
    below_of = np.array([source.below for source in sources], dtype=np.float64)
    is_there = places.ravel() >= 0
    place = places.ravel()[is_there]
    of_group, value = np.repeat(group, 3)[is_there], np.repeat(values, 3)[is_there]
    number, firsts = _first_seen(of_group, key_of[place])
    # Adds one after the other, as a loop would: NumPy's own sums are in pairs.
    raised = np.bincount(number, value * above_of[place], len(firsts))
    lowered = -np.bincount(number, value * below_of[place], len(firsts))
    lowest = np.minimum(np.minimum(raised, lowered), 0.0).tolist()
    highest = np.maximum(np.maximum(raised, lowered), 0.0).tolist()
    ends = np.searchsorted(of_group[firsts], np.arange(groups + 1))
    for lo, hi in pairwise(ends.tolist()):
        yield math.hypot(*lowest[lo:hi]), math.hypot(*highest[lo:hi])
