"""Time that should have been read and was not, filled from the device's own profile.

A quarter-hour in which nothing of a device was read, although a run or a reservation held the
device, is filled with the power that the same subject drew on it elsewhere in the window. The
fill is `estimated`, with an interval of its own: as wide as that power varied from one
quarter-hour to another. Nothing is filled for who was never seen on a device.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Final

from carbon.domain.emissions import operational_ng
from carbon.domain.energy import Method
from carbon.domain.intensity import Signal, mean_g_per_kwh
from carbon.domain.units import BUCKET_MS, MS_PER_S, QUARTER_MS, ceil_to, floor_to
from carbon.services.grid.intensity import points_of
from carbon.services.sci.window_ledger import Ledger, Scope
from carbon.storage.energy import reservations_between
from carbon.storage.ledger_rows import LedgerRow, RowKey, added
from carbon.storage.names import runs_between
from carbon.storage.places import places_at
from carbon.storage.quarters import Quarter, drawn_buckets, quarters_between
from carbon.storage.ratings import rating_of
from carbon.storage.sealed_days import buckets_kept_from

#: Not even an even profile is known better: our assumption.
_LEAST_HALF_WIDTH = 0.10
_Z_95 = 1.959963984540054

#: So many 5-minute intervals in a row are filled along a line; more from the profile.
LINEAR_UP_TO: Final = 2
INTERPOLATED: Final = ("gaps_interpolated",)

#: (device, subject)
_Holder = tuple[int, int]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a subject drew on a device where it was read."""

    power_mw: float
    #: Relative, of the power of one quarter-hour, 95 %.
    half_width: float
    #: Of the device's time, that the subject held.
    held_share: float


@dataclass(frozen=True, slots=True)
class Gaps:
    """What was filled, and where: for counts that would be set aside."""

    rows: Sequence[LedgerRow]
    bounds: Mapping[RowKey, tuple[int, int]]
    spans: Sequence[Span]
    is_interpolated: bool = False


def with_gaps_filled(scope: Scope, ledger: Ledger) -> Ledger:
    gaps = find_gaps(scope, ledger)
    if not gaps.rows:
        return ledger
    return replace(
        ledger,
        rows=added([*ledger.rows, *gaps.rows]),
        ratings=scope.ratings.by_id,
        bounds={**ledger.bounds, **gaps.bounds},
        flags=(*ledger.flags, "gaps_filled", *INTERPOLATED[: gaps.is_interpolated]),
        filled=gaps.spans,
        added_rows=gaps.rows,
    )


def find_gaps(scope: Scope, ledger: Ledger) -> Gaps:
    """Over the whole 5-minute intervals of the window."""
    start_ms, end_ms = ceil_to(ledger.start_ms, BUCKET_MS), floor_to(ledger.end_ms, BUCKET_MS)
    held = _held(scope, ledger, start_ms, end_ms) if start_ms < end_ms else {}
    devices = {device for device, _ in held}
    if not devices:
        return Gaps((), {}, ())
    first, last = floor_to(start_ms, QUARTER_MS), ceil_to(end_ms, QUARTER_MS)
    quarters = quarters_between(scope.connection, devices, first, last)
    read: dict[int, set[int]] = defaultdict(set)
    for q in quarters:
        read[q.device_id].add(q.start_ms)
    fine = _buckets_of(scope, quarters, devices)
    profiles = _profiles(q for q in quarters if q.workload_id == scope.workload_id)
    rows: list[LedgerRow] = []
    bounds: dict[RowKey, tuple[int, int]] = {}
    spans: set[Span] = set()
    is_interpolated = False
    for holder, own in held.items():
        if holder not in profiles:
            continue
        missing = _unread(own, read[holder[0]], start_ms, end_ms)
        missing += fine.missing(holder[0], own, start_ms, end_ms)
        for gap in merged(missing):
            parts = fine.interpolated(holder, gap, profiles[holder].held_share)
            is_interpolated |= bool(parts)
            for part, profile in parts or [(gap, profiles[holder])]:
                row = _filled(scope, holder, profile, part)
                margin = round(row.operational_ng * profile.half_width)
                low, high = bounds.get(row.key, (0, 0))
                rows.append(row)
                bounds[row.key] = (
                    low + max(0, row.operational_ng - margin),
                    high + row.operational_ng + margin,
                )
            spans.add(gap)
    return Gaps(rows, bounds, merged(spans), is_interpolated)


@dataclass(frozen=True, slots=True)
class _Buckets:
    """5-minute buckets of the quarter-hours that were read in part, while they are kept."""

    #: (device, subject) -> bucket -> (energy, covered time)
    drawn: Mapping[_Holder, Mapping[int, tuple[int, int]]]
    #: device -> its quarter-hours read in part, and all of its buckets that were read
    partly: Mapping[int, set[int]]
    read: Mapping[int, set[int]]

    def missing(self, device: int, held: Iterable[Span], start_ms: int, end_ms: int) -> list[Span]:
        """Whole buckets of the held time in which nothing of the device was read."""
        spans = [(max(lo, start_ms), min(hi, end_ms)) for lo, hi in held]
        return [
            (at, at + BUCKET_MS)
            for quarter in sorted(self.partly.get(device, ()))
            for at in range(quarter, quarter + QUARTER_MS, BUCKET_MS)
            if at not in self.read[device]
            and any(lo <= at and at + BUCKET_MS <= hi for lo, hi in spans)
        ]

    def interpolated(
        self, holder: _Holder, gap: Span, held_share: float
    ) -> list[tuple[Span, Profile]]:
        """Bucket by bucket along the line from the power before a short gap to that after it;
        nothing of a longer one, or where the subject drew on one side alone."""
        start_ms, end_ms = gap
        count = (end_ms - start_ms) // BUCKET_MS
        drawn = self.drawn.get(holder, {})
        before, after = drawn.get(start_ms - BUCKET_MS), drawn.get(end_ms)
        if count > LINEAR_UP_TO or before is None or after is None:
            return []
        first, last = (energy_mj * MS_PER_S / ms for energy_mj, ms in (before, after))
        mean = (first + last) / 2
        half_width = max(_LEAST_HALF_WIDTH, abs(last - first) / 2 / mean if mean else 1.0)
        return [
            (
                (start_ms + n * BUCKET_MS, start_ms + (n + 1) * BUCKET_MS),
                Profile(first + (last - first) * (n + 1) / (count + 1), half_width, held_share),
            )
            for n in range(count)
        ]


def _buckets_of(scope: Scope, quarters: Sequence[Quarter], devices: set[int]) -> _Buckets:
    """Of one device and bucket the reserved times sum to the covered one: where a quarter-hour
    lacks a whole bucket of it, one may not have been read."""
    covered: dict[tuple[int, int], int] = defaultdict(int)
    for q in quarters:
        covered[q.device_id, q.start_ms] += q.reserved_ms
    kept_ms = buckets_kept_from(scope.connection)
    partly: dict[int, set[int]] = defaultdict(set)
    for (device, at), covered_ms in covered.items():
        if covered_ms <= QUARTER_MS - BUCKET_MS and at >= kept_ms:
            partly[device].add(at)
    drawn: dict[_Holder, dict[int, tuple[int, int]]] = defaultdict(dict)
    read: dict[int, set[int]] = defaultdict(set)
    if partly:
        first = min(min(own) for own in partly.values()) - BUCKET_MS
        last = max(max(own) for own in partly.values()) + QUARTER_MS
        for b in drawn_buckets(scope.connection, devices, first, last + BUCKET_MS):
            read[b.device_id].add(b.start_ms)
            if b.covered_ms:
                drawn[b.device_id, b.subject_id][b.start_ms] = (b.energy_mj, b.covered_ms)
    return _Buckets(drawn, partly, read)


def _profiles(quarters: Iterable[Quarter]) -> dict[_Holder, Profile]:
    seen: dict[_Holder, list[Quarter]] = defaultdict(list)
    for q in quarters:
        if q.covered_ms and q.method != Method.ESTIMATED:
            seen[q.device_id, q.subject_id].append(q)
    return {holder: _profile(own) for holder, own in seen.items()}


def _profile(own: Sequence[Quarter]) -> Profile:
    covered_ms = sum(q.covered_ms for q in own)
    power_mw = sum(q.energy_mj for q in own) * MS_PER_S / covered_ms
    powers = [q.energy_mj * MS_PER_S / q.covered_ms for q in own]
    spread = pstdev(powers) / fmean(powers) if len(powers) > 1 and any(powers) else 1 / _Z_95
    held = min(1.0, sum(q.reserved_ms for q in own) / covered_ms)
    return Profile(power_mw, max(_LEAST_HALF_WIDTH, _Z_95 * spread), held)


def _held(scope: Scope, ledger: Ledger, start_ms: int, end_ms: int) -> dict[_Holder, list[Span]]:
    """When each subject of the window should have been read on each of its devices."""
    holders = {(row.device_id, row.subject_id) for row in ledger.rows}
    subjects = {subject for _, subject in holders}
    runs = {
        row.subject_id: (row.start_ms, row.end_ms)
        for row in runs_between(scope.connection, subjects, start_ms, end_ms)
    }
    devices = {device for device, _ in holders}
    reserved = reservations_between(scope.connection, devices, start_ms, end_ms)
    found: dict[_Holder, list[Span]] = defaultdict(list)
    for device, subject in holders:
        if subject in runs:
            found[device, subject].append(runs[subject])
        found[device, subject] += [
            (r.start_ms, r.end_ms) for r in reserved.get(device, ()) if r.subject == subject
        ]
    return {holder: spans for holder, spans in found.items() if spans}


def _unread(held: Iterable[Span], read: set[int], start_ms: int, end_ms: int) -> list[Span]:
    """Whole quarter-hours of the held time in which nothing was read, joined."""
    missing = {
        (at, at + QUARTER_MS)
        for lo, hi in held
        for at in range(
            ceil_to(max(lo, start_ms), QUARTER_MS),
            floor_to(min(hi, end_ms), QUARTER_MS),
            QUARTER_MS,
        )
        if at not in read
    }
    return merged(missing)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch or overlap, joined, in order of time."""
    found: list[Span] = []
    for lo, hi in sorted(spans):
        if found and lo <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], hi))
        else:
            found.append((lo, hi))
    return found


def _filled(scope: Scope, holder: _Holder, profile: Profile, gap: Span) -> LedgerRow:
    device, subject = holder
    start_ms, end_ms = gap
    zone = scope.context.settings.zone
    place = places_at(scope.connection, [device], start_ms, zone)[device]
    signal, within = scope.question.signal or Signal.AVERAGE, scope.question.scope
    points = points_of(scope.connection, place.zone, start_ms, end_ms, signal, within)
    mean = mean_g_per_kwh(points, start_ms, end_ms)
    if mean is None:  # the window's own rows were priced, so the yearly figure is there
        mean = math.fsum(point.g_per_kwh for point in points) / len(points)
    main = max(points, key=lambda p: min(p.end_ms, end_ms) - max(p.start_ms, start_ms))
    energy_mj = round(profile.power_mw * (end_ms - start_ms) / MS_PER_S)
    return LedgerRow(
        device,
        subject,
        int(Method.ESTIMATED),
        scope.ratings.id_of(rating_of(place.zone, main, place.flags)),
        energy_mj,
        operational_ng(energy_mj, mean, place.pue),
        0,
        round((end_ms - start_ms) * profile.held_share),
    )
