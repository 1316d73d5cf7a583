"""What many devices draw, from columns of readings.

Nearly all meters are plain: their periods do not overlap. Of these whole columns give what the
rules of `domain.energy` give, to the last digit (a property test holds them together); readings
of the others are handed to the rules themselves. An object for each reading would cost ten times
as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import (
    MeterKind,
    MeterView,
    Method,
    Reading,
    clip,
    counting_meter,
    settle,
)
from carbon.domain.units import watts
from carbon.storage.interval_columns import END, ENERGY, METER, METHOD, SPAN, SUBJECT, Ints
from carbon.storage.names import MeterRef
from carbon.storage.recent import KnownDevice

Floats = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

#: "Now" is the mean of the last minute that a device has readings of.
POWER_WINDOW_MS: Final = 60_000
#: A device unheard for longer has no power now: missing is missing, never 0.
SILENT_AFTER_MS: Final = 120_000
#: Methods are below this.
_METHODS = 16
_MEASURED = np.array([any(m == int(k) and k.is_measured for k in Method) for m in range(_METHODS)])


@dataclass(frozen=True)
class Roster:
    """The devices known, each at its place, and the meters behind them."""

    devices: Sequence[KnownDevice]
    meters: Mapping[int, Sequence[MeterRef]]

    def __len__(self) -> int:
        return len(self.devices)

    @cached_property
    def kinds(self) -> dict[int, MeterKind]:
        return {ref.meter: ref.kind for refs in self.meters.values() for ref in refs}

    @cached_property
    def _place_of_meter(self) -> Ints:
        places = np.full(max(self.kinds, default=0) + 2, -1, dtype=np.int64)
        for place, known in enumerate(self.devices):
            for ref in self.meters.get(known.device, ()):
                places[ref.meter] = place
        return places

    def places(self, meters: Ints) -> Ints:
        """Of each meter the place of its device; -1 for one that is not known yet."""
        known = self._place_of_meter
        return np.asarray(known[np.minimum(meters, known.size - 1)])


@dataclass(frozen=True, slots=True)
class Draw:
    """What each device of a roster draws, by its place."""

    #: NaN where the device is silent.
    power_w: Floats
    #: Of that: backed by a sensor.
    measured_w: Floats
    #: `Method` of most of the time; 0 where the device is silent.
    method: Ints
    #: End of the newest reading; 0 where there is none.
    seen_ms: Ints

    @property
    def is_heard(self) -> Flags:
        return ~np.isnan(self.power_w)


def draw_of(roster: Roster, columns: Ints, now_ms: int, owners: Owners | None = None) -> Draw:
    """The draw of each device from the readings of the last minutes.

    `columns` must reach POWER_WINDOW_MS further back than SILENT_AFTER_MS. With `owners` only
    their rows draw; the others still tell the time that is covered.
    """
    order = np.lexsort((columns[METHOD], columns[SPAN], columns[END], columns[METER]))
    places = roster.places(columns[METER])[order]
    known = places >= 0
    order, places = order[known], places[known]
    rows = columns[:, order]
    own = None if owners is None else owners.flags(rows)
    seen_ms = np.zeros(len(roster), dtype=np.int64)
    np.maximum.at(seen_ms, places, rows[END])
    draw = Draw(
        np.full(len(roster), np.nan),
        np.zeros(len(roster)),
        np.zeros(len(roster), dtype=np.int64),
        seen_ms,
    )
    is_live = seen_ms >= now_ms - SILENT_AFTER_MS
    odd = np.zeros(len(roster), dtype=np.bool_)
    odd[places[_overlapping(rows)]] = True
    plain = (is_live & ~odd)[places]
    _draw_plain(roster, rows[:, plain], places[plain], None if own is None else own[plain], draw)
    for place in np.flatnonzero(odd & is_live).tolist():
        _draw_odd(roster, place, rows[:, places == place], owners, draw)
    return draw


def _overlapping(rows: Ints) -> Flags:
    """Rows, in order of meter and period, that begin before the period before them ended."""
    end, meter, span = rows[[END, METER, SPAN]]
    flags = np.zeros(end.size, dtype=np.bool_)
    is_beside = (end[1:] == end[:-1]) & (span[1:] == span[:-1])
    follows = end[1:] - span[1:] >= end[:-1]
    flags[1:] = (meter[1:] == meter[:-1]) & ~is_beside & ~follows
    return flags


def _draw_plain(roster: Roster, rows: Ints, places: Ints, own: Flags | None, draw: Draw) -> None:
    start = rows[END] - rows[SPAN]
    since = np.maximum(start, draw.seen_ms[places] - POWER_WINDOW_MS)
    inside = since < rows[END]
    rows, places, start, since = rows[:, inside], places[inside], start[inside], since[inside]
    own = None if own is None else own[inside]
    # As `clip` cuts: what lies before the window is taken away in whole mJ.
    energy_mj = rows[ENERGY] - rows[ENERGY] * (since - start) // rows[SPAN]
    covered_ms = rows[END] - since
    meters, at = np.unique(rows[METER], return_inverse=True)
    by_meter = _Meters(meters, *_time_covered(rows, at, covered_ms, meters.size))
    place_of = np.zeros(meters.size, dtype=np.int64)
    place_of[at] = places
    counting = by_meter.counting(roster, place_of)
    counts = counting[at] if own is None else counting[at] & own
    is_measured = _MEASURED[rows[METHOD]]
    size = len(roster)
    all_mj = np.bincount(places[counts], energy_mj[counts], size)
    of_sensors = counts & is_measured
    measured_mj = np.bincount(places[of_sensors], energy_mj[of_sensors], size)
    heard = place_of[counting]
    time_ms = by_meter.covered_ms[counting]
    draw.power_w[heard] = all_mj[heard] / time_ms
    draw.measured_w[heard] = measured_mj[heard] / time_ms
    draw.method[heard] = by_meter.method[counting]


def _time_covered(rows: Ints, at: Ints, covered_ms: Ints, meters: int) -> tuple[Ints, Ints]:
    """Of each meter the time covered, and the method of most of it; of equals the better."""
    new_period = np.ones(at.size, dtype=np.bool_)
    new_method = np.ones(at.size, dtype=np.bool_)
    same = (rows[METER][1:] == rows[METER][:-1]) & (rows[END][1:] == rows[END][:-1])
    new_period[1:] = ~same
    new_method[1:] = ~same | (rows[METHOD][1:] != rows[METHOD][:-1])
    time_ms = np.bincount(at[new_period], covered_ms[new_period], meters)
    cell = at * _METHODS + rows[METHOD]
    by_method = np.bincount(cell[new_method], covered_ms[new_method], meters * _METHODS)
    method = by_method.reshape(meters, _METHODS).argmax(axis=1)
    return time_ms.astype(np.int64), method.astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one meter saw, as `counting_meter` ranks it."""

    meter: int
    kind: MeterKind
    covered_ms: int
    main_method: Method


@dataclass(frozen=True, slots=True)
class _Meters:
    meter: Ints
    covered_ms: Ints
    method: Ints

    def counting(self, roster: Roster, places: Ints) -> Flags:
        """Whether each is the one meter of its device that counts."""
        is_counting = np.ones(self.meter.size, dtype=np.bool_)
        per_device = np.bincount(places, minlength=len(roster))
        shared = np.flatnonzero(per_device[places] > 1)
        by_place: dict[int, list[int]] = {}
        for at in shared.tolist():
            by_place.setdefault(int(places[at]), []).append(at)
        for rivals in by_place.values():
            views = {at: self._seen(roster, at) for at in rivals}
            best = counting_meter(list(views.values()), POWER_WINDOW_MS).meter
            for at, view in views.items():
                is_counting[at] = view.meter == best
        return is_counting

    def _seen(self, roster: Roster, at: int) -> _Seen:
        meter = int(self.meter[at])
        method = Method(int(self.method[at]))
        return _Seen(meter, roster.kinds[meter], int(self.covered_ms[at]), method)


def _draw_odd(roster: Roster, place: int, rows: Ints, owners: Owners | None, draw: Draw) -> None:
    """One device by the rules themselves."""
    by_meter: dict[int, list[Reading]] = {}
    for end, meter, subject, span, energy_mj, method in rows.T.tolist():
        by_meter.setdefault(meter, []).append(
            Reading(meter, subject, end - span, end, energy_mj, Method(method))
        )
    last_ms = int(draw.seen_ms[place])
    views = []
    for meter, readings in by_meter.items():
        parts = [clip(r, last_ms - POWER_WINDOW_MS, last_ms) for r in settle(readings)]
        if kept := tuple(part for part in parts if part):
            views.append(MeterView(meter, roster.kinds[meter], kept))
    view = counting_meter(views, POWER_WINDOW_MS)
    drawn = [r for r in view.readings if owners is None or owners.owns(r.subject, r.start_ms)]
    draw.power_w[place] = watts(sum(r.energy_mj for r in drawn), view.covered_ms)
    draw.measured_w[place] = watts(
        sum(r.energy_mj for r in drawn if r.method.is_measured), view.covered_ms
    )
    draw.method[place] = int(view.main_method)


@dataclass(frozen=True)
class Owners:
    """Whose readings are: those that some workloads draw, by the claims on their subjects."""

    claims: Mapping[int, Sequence[Claim]]
    workloads: frozenset[int]

    def owns(self, subject: int, at_ms: int) -> bool:
        return workload_of(self.claims.get(subject, ()), at_ms) in self.workloads

    def flags(self, columns: Ints) -> Flags:
        """One a row: whose it is at the moment it begins."""
        subjects, at = np.unique(columns[SUBJECT], return_inverse=True)
        start = columns[END] - columns[SPAN]
        flags = np.zeros(start.size, dtype=np.bool_)
        if not start.size:
            return flags
        first, last = int(start.min()), int(start.max())
        is_own = np.zeros(subjects.size, dtype=np.bool_)
        changing = []
        for place, subject in enumerate(subjects.tolist()):
            if self._changes(subject, first, last):
                changing.append(place)
            else:
                is_own[place] = self.owns(subject, first)
        flags = is_own[at]
        for place in changing:
            for row in np.flatnonzero(at == place).tolist():
                flags[row] = self.owns(int(subjects[place]), int(start[row]))
        return np.asarray(flags)

    def _changes(self, subject: int, first_ms: int, last_ms: int) -> bool:
        return any(
            first_ms < mark <= last_ms
            for claim in self.claims.get(subject, ())
            for mark in (claim.start_ms, claim.end_ms)
        )
