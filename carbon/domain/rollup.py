"""One device and one 5-minute bucket: from readings to energy, carbon and reserved time.

The whole rule of the ledger's first derivation stands here, and only here: which meter counts,
whose energy it was, what it emitted. It is a pure function of its inputs and does not depend
on their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from carbon.domain.emissions import operational_ng
from carbon.domain.energy import MeterView, Method, Reading, clip, counting_meter, covered_ms
from carbon.domain.units import PPM


@dataclass(frozen=True, slots=True)
class Reservation:
    """`share_ppm` of a device was held by a subject over [start, end)."""

    subject: int
    start_ms: int
    end_ms: int
    share_ppm: int


@dataclass(frozen=True, slots=True)
class Rate:
    """What a bucket's energy is multiplied with."""

    rating: int
    vintage: int
    g_per_kwh: float
    pue: float


@dataclass(frozen=True, slots=True)
class BucketRow:
    subject: int
    workload: int
    method: Method
    meter: int
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int


def roll_bucket(
    views: Sequence[MeterView],
    rate: Rate,
    workload_at: Callable[[int, int], int],
    reservations: Sequence[Reservation],
    start_ms: int,
    end_ms: int,
) -> list[BucketRow]:
    """The rows of one device over [start, end), which lies inside one bucket.

    `views` hold the settled readings of the whole bucket, whose counting meter counts in each
    part of it; `workload_at(subject, at_ms)` follows the claims. Energy sums to the counting
    meter exactly, and reserved time to its covered time where nobody reserved the device.
    """
    views = [view for view in views if view.readings]
    if not views:
        return []
    view = counting_meter(views)
    readings = [part for r in view.readings if (part := clip(r, start_ms, end_ms))]
    held = _held_ms(readings, reservations, start_ms, end_ms)
    rows = []
    for key, group in sorted(_grouped(readings, workload_at).items()):
        subject, workload, method = key
        energy_mj = sum(reading.energy_mj for reading in group)
        rows.append(
            BucketRow(
                subject=subject,
                workload=workload,
                method=Method(method),
                meter=view.meter,
                energy_mj=energy_mj,
                operational_ng=operational_ng(energy_mj, rate.g_per_kwh, rate.pue),
                covered_ms=covered_ms(group),
                reserved_ms=held.pop(subject, 0),  # once a subject, on its best method
            )
        )
    return rows + [
        BucketRow(
            subject, workload_at(subject, start_ms), view.main_method, view.meter, 0, 0, 0, ms
        )
        for subject, ms in sorted(held.items())
        if ms
    ]


_Key = tuple[int, int, int]


def _grouped(
    readings: Sequence[Reading], workload_at: Callable[[int, int], int]
) -> dict[_Key, list[Reading]]:
    groups: dict[_Key, list[Reading]] = {}
    for reading in readings:
        workload = workload_at(reading.subject, reading.start_ms)
        groups.setdefault((reading.subject, workload, int(reading.method)), []).append(reading)
    return groups


def _held_ms(
    readings: Sequence[Reading],
    reservations: Sequence[Reservation],
    start_ms: int,
    end_ms: int,
) -> dict[int, int]:
    """Device-time held by each subject over [start, end).

    By reservation; the time that nobody reserved by each span's own shares of the energy, among
    those who hold no reservation at that moment. Spans are cut where a reservation begins or
    ends, so that windows sum to the window they make.
    """
    held: dict[int, int] = {}
    for r in reservations:
        overlap = min(r.end_ms, end_ms) - max(r.start_ms, start_ms)
        if overlap > 0:
            held[r.subject] = held.get(r.subject, 0) + overlap * r.share_ppm // PPM
    marks = sorted({mark for r in reservations for mark in (r.start_ms, r.end_ms)})
    for (lo, hi), drawn in _spans(readings).items():
        edges = [lo, *(mark for mark in marks if lo < mark < hi), hi]
        for part in pairwise(edges):
            for subject, ms in _free(part, drawn, reservations).items():
                held[subject] = held.get(subject, 0) + ms
    return held


def _spans(readings: Sequence[Reading]) -> dict[tuple[int, int], dict[int, int]]:
    """Of each (start, end): what each subject drew."""
    spans: dict[tuple[int, int], dict[int, int]] = {}
    for reading in readings:
        drawn = spans.setdefault((reading.start_ms, reading.end_ms), {})
        drawn[reading.subject] = drawn.get(reading.subject, 0) + reading.energy_mj
    return spans


def _free(
    span: tuple[int, int], drawn: dict[int, int], reservations: Sequence[Reservation]
) -> dict[int, int]:
    """The unreserved time of a span in which the same reservations hold throughout."""
    start_ms, end_ms = span
    holding = [r for r in reservations if r.start_ms <= start_ms and r.end_ms >= end_ms]
    free_ppm = max(0, PPM - sum(r.share_ppm for r in holding))
    holders = {r.subject for r in holding}
    others = {subject: mj for subject, mj in drawn.items() if subject not in holders}
    return _shared((end_ms - start_ms) * free_ppm // PPM, others)


def most_held_ppm(reservations: Sequence[Reservation]) -> int:
    """The largest share of a device that is held at any one moment."""
    return max(
        (
            sum(o.share_ppm for o in reservations if o.start_ms <= r.start_ms < o.end_ms)
            for r in reservations
        ),
        default=0,
    )


def _shared(whole: int, parts: dict[int, int]) -> dict[int, int]:
    """`whole` split in proportion to `parts` (evenly where all are 0), summing to it exactly."""
    total = sum(parts.values())
    weights = parts if total else dict.fromkeys(parts, 1)
    total = total or len(parts)
    shared, so_far, given = {}, 0, 0
    for subject in sorted(weights):
        so_far += weights[subject]
        until = whole * so_far // total
        shared[subject] = until - given
        given = until
    return shared
