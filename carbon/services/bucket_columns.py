"""The ledger's rule (`domain.rollup`) over the rows of many devices at once.

Nearly all buckets are plain: the periods of a meter do not overlap, no claim and no reservation
begins or ends inside. For these, whole columns give what `roll_bucket` gives, to the last digit
(a property test holds them together); the devices that are not plain are named, for the rule
itself to be asked. An object for each reading would cost twenty times as much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from carbon.domain.claims import Claim, workload_of
from carbon.domain.emissions import operational_ng
from carbon.domain.energy import MeterKind, Method, counting_meter
from carbon.domain.rollup import BucketRow, Rate, Reservation
from carbon.domain.units import BUCKET_MS, PPM
from carbon.storage.interval_columns import END, ENERGY, METER, METHOD, SPAN, SUBJECT, Ints
from carbon.storage.names import MeterRef

#: A period's time x energy must stay inside 63 bits.
_MOST_ENERGY_MJ = (1 << 63) // (BUCKET_MS + 1)
#: Methods are below this.
_METHODS = 16


@dataclass(frozen=True, slots=True)
class Bucket:
    """What the rows of some devices over [start_ms, start_ms + 5 min) are read against."""

    start_ms: int
    meters: Mapping[int, Sequence[MeterRef]]
    reservations: Mapping[int, Sequence[Reservation]]
    claims: Mapping[int, Sequence[Claim]]

    @property
    def end_ms(self) -> int:
        return self.start_ms + BUCKET_MS

    def is_plain(self, device: int) -> bool:
        """No reservation begins or ends inside."""
        return all(
            r.start_ms <= self.start_ms and r.end_ms >= self.end_ms
            for r in self.reservations.get(device, ())
        )

    def workload(self, subject: int) -> int | None:
        """The subject's workload; None where it changes inside."""
        claims = self.claims.get(subject, ())
        for claim in claims:
            if self.start_ms < claim.start_ms < self.end_ms:
                return None
            if self.start_ms < claim.end_ms < self.end_ms:
                return None
        return workload_of(claims, self.start_ms)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one meter saw of a bucket, as `counting_meter` ranks it."""

    meter: int
    kind: MeterKind
    covered_ms: int
    main_method: Method


def roll_columns(
    bucket: Bucket, columns: Ints, rates: Mapping[int, Rate]
) -> tuple[dict[int, list[BucketRow]], list[int]]:
    """The rows of each device of `rates` that is plain, and the devices that are not."""
    devices = {ref.meter: device for device in rates for ref in bucket.meters.get(device, ())}
    mine = np.fromiter(devices, dtype=np.int64, count=len(devices))
    readings = _Readings.of(columns[:, np.isin(columns[METER], mine)])
    workloads = {subject: bucket.workload(subject) for subject in readings.subjects()}
    odd = {devices[meter] for meter in readings.odd_meters()}
    odd |= {device for device in rates if not bucket.is_plain(device)}
    changing = [subject for subject, workload in workloads.items() if workload is None]
    odd |= {devices[meter] for meter in readings.meters_of(changing)}
    counting = {
        device: view
        for device, view in _counting(bucket, readings, rates).items()
        if device not in odd
    }
    held = _Held(bucket, readings, counting)
    rolled: dict[int, list[BucketRow]] = {device: [] for device in rates if device not in odd}
    for meter, subject, method, energy_mj, covered_ms in readings.groups(
        [view.meter for view in counting.values()]
    ):
        device = devices[meter]
        rate = rates[device]
        workload = workloads[subject]
        assert workload is not None
        rolled[device].append(
            BucketRow(
                subject,
                workload,
                Method(method),
                meter,
                energy_mj,
                operational_ng(energy_mj, rate.g_per_kwh, rate.pue),
                covered_ms,
                held.take(device, subject),  # once a subject, on its best method
            )
        )
    for device, view in counting.items():
        for subject, ms in held.rest(device):
            workload = workload_of(bucket.claims.get(subject, ()), bucket.start_ms)
            rolled[device].append(
                BucketRow(subject, workload, view.main_method, view.meter, 0, 0, 0, ms)
            )
    return rolled, sorted(odd)


def _counting(bucket: Bucket, readings: _Readings, devices: Iterable[int]) -> dict[int, _Seen]:
    """The meter that counts of each device that has readings."""
    seen = readings.seen()
    counting = {}
    for device in devices:
        views = [
            _Seen(ref.meter, ref.kind, *seen[ref.meter])
            for ref in bucket.meters.get(device, ())
            if ref.meter in seen
        ]
        if views:
            counting[device] = views[0] if len(views) == 1 else counting_meter(views)
    return counting


@dataclass(frozen=True, slots=True)
class _Readings:
    """Readings in order of meter, period, subject."""

    columns: Ints
    #: Index of each reading's period, and of each period's first reading.
    period: Ints
    first: Ints

    @classmethod
    def of(cls, columns: Ints) -> _Readings:
        order = np.lexsort((columns[SUBJECT], columns[SPAN], columns[END], columns[METER]))
        columns = columns[:, order]
        first = _first_of_each(columns[METER], columns[END], columns[SPAN])
        begins = np.zeros(columns.shape[1], dtype=np.int64)
        begins[first] = 1
        return cls(columns, np.cumsum(begins) - 1, first)

    def subjects(self) -> list[int]:
        found: list[int] = np.unique(self.columns[SUBJECT]).tolist()
        return found

    def meters_of(self, subjects: Sequence[int]) -> list[int]:
        found: list[int] = np.unique(
            self.columns[METER, np.isin(self.columns[SUBJECT], subjects)]
        ).tolist()
        return found

    def odd_meters(self) -> set[int]:
        """Meters with periods that overlap, or with more energy than can be multiplied here."""
        meter, end, span = self.columns[[METER, END, SPAN]][:, self.first]
        overlaps = (meter[1:] == meter[:-1]) & (end[1:] - span[1:] < end[:-1])
        too_much = self.columns[METER, self._energy_of_period() > _MOST_ENERGY_MJ]
        return {*meter[1:][overlaps].tolist(), *too_much.tolist()}

    def _energy_of_period(self) -> NDArray[np.float64]:
        """For each reading; as floats, which do not overflow."""
        return np.bincount(self.period, self.columns[ENERGY])[self.period].astype(np.float64)

    def seen(self) -> dict[int, tuple[int, Method]]:
        """Of each meter the covered time and the method of most of it; of equals, the better."""
        meter, method, span = self.columns[[METER, METHOD, SPAN]]
        _, at = np.unique(self.period * _METHODS + method, return_index=True)
        spans: dict[int, dict[int, int]] = {}
        for of, how, ms in _sums((meter[at], method[at]), span[at]):
            spans.setdefault(of, {})[how] = ms
        covered = {of: sums[0] for of, *sums in _sums((meter[self.first],), span[self.first])}
        return {
            one: (covered[one], Method(min(of, key=lambda m: (-of[m], m))))
            for one, of in spans.items()
        }

    def groups(self, meters: Sequence[int]) -> Iterable[tuple[int, ...]]:
        """(meter, subject, method, mJ, covered ms) of these meters, in that order."""
        c = self.columns[:, np.isin(self.columns[METER], meters)]
        return _sums((c[METER], c[SUBJECT], c[METHOD]), c[ENERGY], c[SPAN])

    def shares(self, whole: Ints, takes_part: NDArray[np.bool_]) -> Ints:
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


class _Held:
    """Device-time that each subject held: by reservation, the rest by its share of the energy."""

    def __init__(self, bucket: Bucket, readings: _Readings, counting: Mapping[int, _Seen]) -> None:
        self._ms: dict[int, dict[int, int]] = {}
        holders: list[tuple[int, int]] = []
        free_ppm = {view.meter: PPM for view in counting.values()}
        for device, view in counting.items():
            held = self._ms[device] = {}
            for r in bucket.reservations.get(device, ()):
                held[r.subject] = held.get(r.subject, 0) + BUCKET_MS * r.share_ppm // PPM
                free_ppm[view.meter] -= r.share_ppm
                holders.append((view.meter, r.subject))
        self._add_free(readings, free_ppm, holders, {v.meter: d for d, v in counting.items()})

    def _add_free(
        self,
        readings: _Readings,
        free_ppm: Mapping[int, int],
        holders: Sequence[tuple[int, int]],
        devices: Mapping[int, int],
    ) -> None:
        meter, subject, span = readings.columns[[METER, SUBJECT, SPAN]]
        known, at = np.unique(meter, return_inverse=True)
        free = np.array([max(0, free_ppm.get(m, 0)) for m in known.tolist()], dtype=np.int64)
        takes_part = ~_isin_pairs((meter, subject), holders)
        shares = readings.shares(span * free[at] // PPM if known.size else span, takes_part)
        for one, who, ms in _sums((meter, subject), shares):
            if ms and one in devices:
                held = self._ms[devices[one]]
                held[who] = held.get(who, 0) + ms

    def take(self, device: int, subject: int) -> int:
        return self._ms[device].pop(subject, 0)

    def rest(self, device: int) -> list[tuple[int, int]]:
        """Who holds some of it and drew nothing."""
        return [(subject, ms) for subject, ms in sorted(self._ms[device].items()) if ms]


def _first_of_each(*keys: Ints) -> Ints:
    """Where in sorted columns another key begins."""
    is_new = np.ones(keys[0].size, dtype=bool)
    is_new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(is_new)


def _sums(keys: Sequence[Ints], *values: Ints) -> Iterable[tuple[int, ...]]:
    """(*key, *sums) of each key once, in order."""
    if not keys[0].size:
        return iter(())
    order = np.lexsort(tuple(reversed(keys)))
    keys = [key[order] for key in keys]
    first = _first_of_each(*keys)
    sums = (np.add.reduceat(value[order], first).tolist() for value in values)
    return zip(*(key[first].tolist() for key in keys), *sums, strict=True)


def _isin_pairs(pairs: tuple[Ints, Ints], wanted: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    if not wanted:
        return np.zeros(pairs[0].size, dtype=bool)
    known = set(wanted)
    both = zip(*(part.tolist() for part in pairs), strict=True)
    return np.fromiter((pair in known for pair in both), dtype=bool, count=pairs[0].size)
