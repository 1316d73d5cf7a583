"""The ledger's rule (`domain.rollup`) over the rows of many devices and buckets at once.

Nearly all buckets are plain: the periods of a meter do not overlap, no claim and no reservation
begins or ends inside. For these, whole columns give what `roll_bucket` gives, to the last digit
(a property test holds them together); those that are not plain are named, for the rule itself to
be asked. An object for each reading would cost twenty times as much.

A *bucket* here is one device's 5 minutes, a *cell* what one meter saw of it; both are told by their
place in arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import FULL_COVER_PPM
from carbon.domain.rollup import Rate, Reservation
from carbon.domain.units import BUCKET_MS, PPM
from carbon.services.rollup.nanograms import nanograms
from carbon.storage.columns import grouped, summed
from carbon.storage.dirty import packed_pairs
from carbon.storage.interval_columns import END, ENERGY, METER, METHOD, SPAN, SUBJECT, Ints
from carbon.storage.names import MeterRef

#: A period's time x energy must stay inside 63 bits.
_MOST_ENERGY_MJ = (1 << 63) // (BUCKET_MS + 1)
#: Methods are below this.
_METHODS = 16
_SUBJECT_BITS = 32

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pricing:
    """What each bucket's energy is multiplied with: one of some rates."""

    rates: Sequence[Rate]
    of_bucket: Ints


@dataclass(frozen=True)
class Buckets:
    """Some devices' buckets, and what their rows are read against."""

    start_ms: Ints
    device: Ints
    #: Whether no meter of it counts.
    is_aside: Flags
    meters: Mapping[int, Sequence[MeterRef]]
    reservations: Mapping[int, Sequence[Reservation]]
    claims: Mapping[int, Sequence[Claim]]
    pricing: Pricing

    @property
    def size(self) -> int:
        return int(self.start_ms.size)

    @cached_property
    def cells(self) -> Cells:
        """One for each meter of each bucket, by time and meter."""
        devices, at = np.unique(self.device, return_inverse=True)
        refs = [self.meters.get(device, ()) for device in devices.tolist()]
        flat = [(ref.meter, int(ref.kind)) for some in refs for ref in some]
        meter, kind = np.array(flat, dtype=np.int64).reshape(-1, 2).T
        known = np.array([len(some) for some in refs], dtype=np.int64)
        count = np.where(self.is_aside, 0, known[at])
        bucket = np.repeat(np.arange(self.size), count)
        # Its meters' places: those of its device, one after the other.
        within = np.arange(bucket.size) - np.repeat(np.cumsum(count) - count, count)
        place = np.repeat((np.cumsum(known) - known)[at], count) + within
        key = packed_pairs(self.start_ms[bucket], meter[place])
        order = np.argsort(key, kind="stable")
        place, bucket = place[order], bucket[order]
        return Cells(key[order], bucket, meter[place], kind[place])

    @cached_property
    def held(self) -> Held:
        """Each reservation in each bucket that it reaches into."""
        mine = set(self.device.tolist())
        flat = [
            (device, r.subject, r.start_ms, r.end_ms, r.share_ppm)
            for device, some in self.reservations.items()
            if device in mine
            for r in some
        ]
        device, subject, start_ms, end_ms, ppm = np.array(flat, dtype=np.int64).reshape(-1, 5).T
        by_device = np.lexsort((self.start_ms, self.device))
        numbers = self.device[by_device] << 32 | self.start_ms[by_device] // BUCKET_MS
        first = np.searchsorted(numbers, device << 32 | start_ms // BUCKET_MS)
        last = np.searchsorted(numbers, device << 32 | -(-end_ms // BUCKET_MS))
        count = np.maximum(last - first, 0)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        bucket = by_device[np.repeat(first, count) + within]
        one = np.repeat(np.arange(count.size), count)
        begins = self.start_ms[bucket]
        is_plain = (start_ms[one] <= begins) & (end_ms[one] >= begins + BUCKET_MS)
        return Held(bucket, subject[one], ppm[one], is_plain)

    def workloads(self, subjects: Ints, buckets: Ints) -> tuple[Ints, Flags]:
        """Whose each subject is where each bucket begins, and whether that changes inside."""
        found = np.zeros(subjects.size, dtype=np.int64)
        changes = np.zeros(subjects.size, dtype=np.bool_)
        if not subjects.size:
            return found, changes
        begins = self.start_ms[buckets]
        first_ms, last_ms = int(begins.min()), int(begins.max())
        known, at = np.unique(subjects, return_inverse=True)
        for number, subject in enumerate(known.tolist()):
            claims = self.claims.get(subject, ())
            edges = [ms for claim in claims for ms in (claim.start_ms, claim.end_ms)]
            if not any(first_ms < edge < last_ms + BUCKET_MS for edge in edges):
                if workload := workload_of(claims, first_ms):
                    found[at == number] = workload
                continue
            own = np.flatnonzero(at == number)
            starts, place = np.unique(begins[own], return_inverse=True)
            told = [workload_of(claims, start) for start in starts.tolist()]
            moves = [any(s < e < s + BUCKET_MS for e in edges) for s in starts.tolist()]
            found[own] = np.array(told, dtype=np.int64)[place]
            changes[own] = np.array(moves)[place]
        return found, changes


class Cells(NamedTuple):
    #: Time and meter in one number, in order.
    key: Ints
    bucket: Ints
    meter: Ints
    kind: Ints


class Held(NamedTuple):
    bucket: Ints
    subject: Ints
    share_ppm: Ints
    #: Whether it neither begins nor ends inside.
    is_plain: Flags


class Rolled(NamedTuple):
    """Rows of the table `bucket`, as columns; in order of `bucket`, a place among those asked."""

    bucket: Ints
    subject: Ints
    workload: Ints
    method: Ints
    energy_mj: Ints
    operational_ng: Ints
    covered_ms: Ints
    reserved_ms: Ints
    meter: Ints

    @classmethod
    def of(cls, *columns: Ints) -> Rolled:
        order = np.argsort(columns[0], kind="stable")
        return cls(*(column[order] for column in columns))


class Readings(NamedTuple):
    """Readings in order of cell, period, subject."""

    cell: Ints
    columns: Ints
    #: Index of each reading's period, and of each period's first reading.
    period: Ints
    first: Ints

    @classmethod
    def of(cls, cells: Cells, columns: Ints) -> Readings:
        """Those that lie in some cell."""
        if not cells.key.size:
            return cls._ordered(np.empty(0, dtype=np.int64), columns[:, :0])
        key = packed_pairs(columns[END] - 1, columns[METER])
        cell = np.minimum(np.searchsorted(cells.key, key), cells.key.size - 1)
        mine = np.flatnonzero(cells.key[cell] == key)
        cell, columns = cell[mine], columns[:, mine]
        # A cell tells the bucket: the end within it takes fewer bits.
        order, _ = grouped((cell, (columns[END] - 1) % BUCKET_MS, *columns[[SPAN, SUBJECT]]))
        return cls._ordered(cell[order], columns[:, order])

    @classmethod
    def _ordered(cls, cell: Ints, columns: Ints) -> Readings:
        first = _first_of_each(cell, columns[END], columns[SPAN])
        begins = np.zeros(cell.size, dtype=np.int64)
        begins[first] = 1
        return cls(cell, columns, np.cumsum(begins) - 1, first)

    def of_cells(self, is_wanted: Flags) -> Readings:
        chosen = is_wanted[self.cell]
        if chosen.all():
            return self
        return self._ordered(self.cell[chosen], self.columns[:, chosen])

    def odd_cells(self) -> Ints:
        """With periods that overlap, or with more energy than can be multiplied here."""
        cell, (end, span) = self.cell[self.first], self.columns[[END, SPAN]][:, self.first]
        overlaps = (cell[1:] == cell[:-1]) & (end[1:] - span[1:] < end[:-1])
        # As floats, which do not overflow.
        energy = np.bincount(self.period, self.columns[ENERGY])[self.period]
        return np.concatenate([cell[1:][overlaps], self.cell[energy > _MOST_ENERGY_MJ]])

    def seen(self, cells: int) -> tuple[Ints, Ints]:
        """Of each cell the covered time and the method of most of it; of equals, the better."""
        span, method = self.columns[SPAN], self.columns[METHOD]
        covered = np.bincount(self.cell[self.first], span[self.first], cells).astype(np.int64)
        main = np.zeros(cells, dtype=np.int64)
        order, first = grouped((self.period * _METHODS + method,))
        of = order[first]
        told = summed((self.cell[of], method[of]), [span[of]])
        told = told[np.lexsort((told[:, 1], -told[:, 2], told[:, 0]))]
        most = _first_of_each(told[:, 0])
        main[told[most, 0]] = told[most, 1]
        return covered, main

    def shares(self, whole: Ints, takes_part: Flags) -> Ints:
        """`whole` of each period (given for each reading) split among its subjects in proportion
        to their energy, evenly where all are 0, summing to it exactly."""
        energy: Ints = np.where(takes_part, self.columns[ENERGY], 0)
        nothing = self._of_period(energy) == 0
        weight: Ints = np.where(nothing, takes_part, energy).astype(np.int64)
        total: Ints = np.maximum(self._of_period(weight), 1)
        so_far: Ints = np.cumsum(weight)
        until: Ints = so_far - (so_far - weight)[self.first][self.period]
        before = until - weight
        shared: Ints = np.subtract(whole * until // total, whole * before // total)
        return shared

    def _of_period(self, values: Ints) -> Ints:
        """The sum over its period, for each reading."""
        if not self.first.size:
            return values
        sums: Ints = np.add.reduceat(values, self.first)[self.period]
        return sums


def roll_columns(buckets: Buckets, readings: Readings) -> tuple[Rolled, Ints]:
    """The rows of the buckets that are plain, and those that are not, in order."""
    cells, held = buckets.cells, buckets.held
    is_odd = np.zeros(buckets.size, dtype=np.bool_)
    is_odd[cells.bucket[readings.odd_cells()]] = True
    is_odd[held.bucket[~held.is_plain]] = True
    _, changes = buckets.workloads(readings.columns[SUBJECT], cells.bucket[readings.cell])
    is_odd[cells.bucket[readings.cell[changes]]] = True
    covered, main_method = readings.seen(cells.key.size)
    is_seen = np.zeros(cells.key.size, dtype=np.bool_)
    is_seen[readings.cell] = True
    counting = _counting(cells, np.flatnonzero(is_seen), covered, main_method)
    counting = counting[~is_odd[cells.bucket[counting]]]
    counts = np.zeros(cells.key.size, dtype=np.bool_)
    counts[counting] = True
    readings = readings.of_cells(counts)
    c = readings.columns
    groups = summed((readings.cell, c[SUBJECT], c[METHOD]), [c[ENERGY], c[SPAN]])
    held_ms = _held_ms(buckets, readings, counting)
    reserved, rest = _placed(groups, held_ms)
    nothing = np.zeros(len(rest), dtype=np.int64)
    cell = np.concatenate([groups[:, 0], rest[:, 0]])
    subject = np.concatenate([groups[:, 1], rest[:, 1]])
    bucket = cells.bucket[cell]
    energy_mj = np.concatenate([groups[:, 3], nothing])
    rolled = Rolled.of(
        bucket,
        subject,
        buckets.workloads(subject, bucket)[0],
        np.concatenate([groups[:, 2], main_method[rest[:, 0]]]),
        energy_mj,
        _nanograms(buckets.pricing, bucket, energy_mj),
        np.concatenate([groups[:, 4], nothing]),
        np.concatenate([reserved, rest[:, 2]]),
        cells.meter[cell],
    )
    return rolled, np.flatnonzero(is_odd)


def _counting(cells: Cells, seen: Ints, covered: Ints, main_method: Ints) -> Ints:
    """The cell that counts of each bucket that has readings: `domain.energy.counting_meter`."""
    bucket, meter, kind = cells.bucket[seen], cells.meter[seen], cells.kind[seen]
    if np.unique(bucket).size == bucket.size:
        return seen
    falls_short = covered[seen] * 1_000_000 < FULL_COVER_PPM * BUCKET_MS
    width = np.where(falls_short, -covered[seen], 0)
    order = np.lexsort((meter, kind, main_method[seen], width, falls_short, bucket))
    return np.sort(seen[order[_first_of_each(bucket[order])]])


def _held_ms(buckets: Buckets, readings: Readings, counting: Ints) -> Ints:
    """(cell, subject, ms) of the device-time that each subject held, where any: by reservation,
    the rest by its share of the energy."""
    cells, held = buckets.cells, buckets.held
    cell_of = np.full(buckets.size, -1, dtype=np.int64)
    cell_of[cells.bucket[counting]] = counting
    own = cell_of[held.bucket]
    mine = own >= 0
    own, holder, ppm = own[mine], held.subject[mine], held.share_ppm[mine]
    free_ppm = np.full(cells.key.size, PPM, dtype=np.int64)
    np.subtract.at(free_ppm, own, ppm)
    free = np.maximum(free_ppm, 0)[readings.cell]
    subject, span = readings.columns[[SUBJECT, SPAN]]
    key, holders = _keys(readings.cell, subject), _keys(own, holder)
    takes_part = ~np.isin(key, holders) if own.size else np.ones(key.size, dtype=np.bool_)
    shared = readings.shares(span * free // PPM, takes_part)
    cell = np.concatenate([own, readings.cell])
    who = np.concatenate([holder, subject])
    ms = np.concatenate([BUCKET_MS * ppm // PPM, shared])
    sums = summed((cell, who), [ms])
    some: Ints = sums[sums[:, 2] != 0]
    return some


def _placed(groups: Ints, held_ms: Ints) -> tuple[Ints, Ints]:
    """The reserved time of each group, once a subject, on its best method; and who holds some and
    drew nothing."""
    reserved = np.zeros(len(groups), dtype=np.int64)
    if not len(groups):
        return reserved, held_ms
    first = _first_of_each(groups[:, 0], groups[:, 1])
    known = _keys(groups[first, 0], groups[first, 1])
    wanted = _keys(held_ms[:, 0], held_ms[:, 1])
    at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    is_known = known[at] == wanted
    reserved[first[at[is_known]]] = held_ms[is_known, 2]
    return reserved, held_ms[~is_known]


def _nanograms(pricing: Pricing, bucket: Ints, energy_mj: Ints) -> Ints:
    of = pricing.of_bucket[bucket]
    g_per_kwh = np.array([rate.g_per_kwh for rate in pricing.rates])
    pue = np.array([rate.pue for rate in pricing.rates])
    ng: Ints = nanograms(energy_mj, g_per_kwh[of], pue[of])[0]
    return ng


def _keys(cell: Ints, subject: Ints) -> Ints:
    return cell << _SUBJECT_BITS | subject


def _first_of_each(*keys: Ints) -> Ints:
    """Where in sorted columns another key begins."""
    is_new = np.ones(keys[0].size, dtype=bool)
    is_new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(is_new)
