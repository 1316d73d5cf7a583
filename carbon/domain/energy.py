"""Energy intervals: the atom of the ledger, how they are cut, and which of them count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import groupby
from operator import attrgetter
from typing import Protocol, TypeVar

from carbon.domain.units import BUCKET_MS, floor_to


class Method(IntEnum):
    """How an interval's energy is known, best first. The value is stored, the label is shown."""

    COUNTER = 1  #: difference of a hardware energy counter
    INTEGRATED = 2  #: instant power, integrated
    AVERAGED = 3  #: averaged power, integrated
    BRIDGED = 4  #: a counter's rise across an outage
    IMPORTED = 5  #: another tool's figure; its method is not known
    MODELLED = 6  #: from utilisation and a power model
    ESTIMATED = 7  #: filled in for a gap

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def is_measured(self) -> bool:
        """Backed by a sensor that we know of. All else counts as estimated in `estimated_g`."""
        return self <= Method.BRIDGED

    @classmethod
    def of(cls, label: str) -> Method:
        """Raises KeyError for a label that is none of ours."""
        return _METHOD_BY_LABEL[label]


_METHOD_BY_LABEL = {method.label: method for method in Method}


class MeterKind(IntEnum):
    """Who reads a meter; the lower value is believed where methods are equal."""

    AGENT = 1
    IMPORTER = 2
    TRACKER = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """One piece of energy as stored: within one 5-minute bucket, of one meter and subject."""

    meter: int
    subject: int
    start_ms: int
    end_ms: int
    energy_mj: int
    method: Method

    @property
    def span_ms(self) -> int:
        return self.end_ms - self.start_ms


def energy_until(energy_mj: int, start_ms: int, end_ms: int, at_ms: int) -> int:
    """The part of an interval's energy that lies before `at_ms`, in integers.

    Differences of this function at the marks of any division sum to the whole exactly.
    """
    return energy_mj * (at_ms - start_ms) // (end_ms - start_ms)


def cut(
    start_ms: int, end_ms: int, amount: int, width_ms: int = BUCKET_MS
) -> Iterator[tuple[int, int, int]]:
    """Cuts `amount` spread evenly over [start, end) at the marks of `width_ms`.

    Yields (start_ms, end_ms, amount); the amounts sum to `amount` exactly. Serves energy in mJ
    and unit counts alike.
    """
    at, before = start_ms, 0
    while at < end_ms:
        mark = min(floor_to(at, width_ms) + width_ms, end_ms)
        until = energy_until(amount, start_ms, end_ms, mark)
        yield at, mark, until - before
        at, before = mark, until


def clip(reading: Reading, start_ms: int, end_ms: int) -> Reading | None:
    """The part of a reading inside [start, end), or None where there is none."""
    lo, hi = max(reading.start_ms, start_ms), min(reading.end_ms, end_ms)
    if lo >= hi:
        return None
    if (lo, hi) == (reading.start_ms, reading.end_ms):
        return reading
    span = (reading.energy_mj, reading.start_ms, reading.end_ms)
    part = energy_until(*span, hi) - energy_until(*span, lo)
    return replace(reading, start_ms=lo, end_ms=hi, energy_mj=part)


def settle(readings: Iterable[Reading]) -> list[Reading]:
    """Which readings of ONE meter count: at each instant only those of the shortest span.

    All subjects are judged together. A longer reading keeps what no shorter one covers. Of two
    readings of equal span that overlap in part, the one that starts first counts. The result
    does not depend on the order of the input.
    """
    counted: list[Reading] = []
    covered: list[tuple[int, int]] = []
    ordered = sorted(readings, key=lambda r: (r.span_ms, r.start_ms, r.subject))
    for _, same_span in groupby(ordered, key=attrgetter("span_ms")):
        for _, same_period in groupby(same_span, key=attrgetter("start_ms")):
            period = list(same_period)
            free = _uncovered(period[0].start_ms, period[0].end_ms, covered)
            for lo, hi in free:
                counted.extend(part for r in period if (part := clip(r, lo, hi)))
            covered = _merged([*covered, *free])
    return counted


def _uncovered(
    start_ms: int, end_ms: int, covered: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    free, at = [], start_ms
    for lo, hi in covered:
        if hi <= at:
            continue
        if lo >= end_ms:
            break
        if lo > at:
            free.append((at, lo))
        at = max(at, hi)
    if at < end_ms:
        free.append((at, end_ms))
    return free


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for lo, hi in sorted(spans):
        if merged and lo <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(hi, merged[-1][1]))
        else:
            merged.append((lo, hi))
    return merged


def covered_ms(readings: Iterable[Reading]) -> int:
    """Length of time that at least one reading covers."""
    return sum(hi - lo for lo, hi in _merged([(r.start_ms, r.end_ms) for r in readings]))


#: A meter must cover this share of the bucket to be ranked by its method.
FULL_COVER_PPM = 900_000


class Ranked(Protocol):
    """What the rank of a meter in a bucket depends on."""

    @property
    def meter(self) -> int: ...

    @property
    def kind(self) -> MeterKind: ...

    @property
    def covered_ms(self) -> int: ...

    @property
    def main_method(self) -> Method: ...


View = TypeVar("View", bound=Ranked)


@dataclass(frozen=True, slots=True)
class MeterView:
    """One meter's settled readings of one device in one bucket."""

    meter: int
    kind: MeterKind
    readings: tuple[Reading, ...]

    @property
    def covered_ms(self) -> int:
        return covered_ms(self.readings)

    @property
    def main_method(self) -> Method:
        """The method of most of the covered time; of equals, the better."""
        by_method: dict[Method, list[Reading]] = {}
        for reading in self.readings:
            by_method.setdefault(reading.method, []).append(reading)
        return min(by_method, key=lambda m: (-covered_ms(by_method[m]), m))


def counting_meter(views: Sequence[View], bucket_ms: int = BUCKET_MS) -> View:
    """Which meter of a device counts in a bucket; the others stay as a cross-check.

    Of those covering at least 90 % of the bucket the best ranked (method of most of its time,
    then agent before importer before tracker, then the elder meter); else the widest.
    `views` must not be empty.
    """
    full = [v for v in views if v.covered_ms * 1_000_000 >= FULL_COVER_PPM * bucket_ms]
    if full:
        return min(full, key=lambda v: (v.main_method, v.kind, v.meter))
    return min(views, key=lambda v: (-v.covered_ms, v.main_method, v.kind, v.meter))
