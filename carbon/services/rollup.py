"""Keeps the roll-ups in step with what was sent, claimed, corrected or re-rated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterView, Reading, settle
from carbon.domain.intensity import EmissionScope, RatedPoint, Signal, mean_g_per_kwh
from carbon.domain.rollup import BucketRow, Rate, Reservation, roll_bucket
from carbon.domain.units import BUCKET_MS, MS_PER_HOUR
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.intensity import points_of
from carbon.storage.energy import readings_between, reservations_between
from carbon.storage.engine import reading, writing
from carbon.storage.ledger_rows import LedgerRow
from carbon.storage.names import MeterRef, claims_of, meters_of
from carbon.storage.places import Place, places_at
from carbon.storage.ratings import Ratings, rating_of
from carbon.storage.rollups import (
    is_behind,
    set_buckets,
    set_workload_period,
    take_dirty,
    take_dirty_hours,
    workload_day,
    workload_hour,
)

#: Devices of one bucket, and workload-hours, recomputed in one transaction: short locks.
_DEVICES_AT_ONCE = 64
_HOURS_AT_ONCE = 16


def roll_up(context: Context, end_ms: int | None = None, most: int | None = None) -> int:
    """Recomputes dirty buckets before `end_ms` (all by default), then the hours and days above.

    Answers how many buckets were recomputed, at most about `most`. Safe to run twice, to stop
    anywhere, and on several replicas at once: each transaction takes its marks with it.
    """
    with reading(context.engine) as connection:
        if not is_behind(connection):
            return 0
    done = 0
    while most is None or done < most:
        count = _roll_some(context, end_ms)
        if not count:
            break
        done += count
    while _roll_hours(context):
        pass
    return done


def _roll_some(context: Context, end_ms: int | None) -> int:
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        taken = take_dirty(connection, _DEVICES_AT_ONCE, end_ms)
        if taken is None:
            return 0
        start_ms, devices = taken
        ratings = Ratings(connection, may_store=True)
        roller = BucketRoller.load(
            context, connection, ratings, devices, start_ms, start_ms + BUCKET_MS
        )
        rows = [row for device in devices for row in roller.stored_rows(device)]
        set_buckets(connection, start_ms, devices, rows, now_ms)
        return len(devices)


class BucketRoller:
    """All that is needed to roll up some devices over [start, end) inside one bucket."""

    def __init__(
        self,
        ratings: Ratings,
        span_ms: tuple[int, int],
        meters: Mapping[int, Sequence[MeterRef]],
        readings: Mapping[int, Sequence[Reading]],
        reservations: Mapping[int, Sequence[Reservation]],
        claims: Mapping[int, Sequence[Claim]],
        places: Mapping[int, Place],
        points: Mapping[str, Sequence[RatedPoint]],
    ) -> None:
        self._ratings = ratings
        self._start_ms, self._end_ms = span_ms
        self._meters = meters
        self._readings = readings
        self._reservations = reservations
        self._claims = claims
        self._places = places
        self._points = points

    @classmethod
    def load(
        cls,
        context: Context,
        connection: Connection,
        ratings: Ratings,
        devices: Collection[int],
        start_ms: int,
        end_ms: int,
        signal: Signal = Signal.AVERAGE,
        scope: EmissionScope | None = None,
    ) -> BucketRoller:
        """Reads the raw rows of the whole bucket around [start, end)."""
        bucket_ms = start_ms - start_ms % BUCKET_MS
        meters = meters_of(connection, devices)
        meter_ids = [ref.meter for refs in meters.values() for ref in refs]
        readings: dict[int, list[Reading]] = {}
        subjects = set()
        for r in readings_between(connection, bucket_ms, bucket_ms + BUCKET_MS, meter_ids):
            readings.setdefault(r.meter, []).append(r)
            subjects.add(r.subject)
        reservations = reservations_between(connection, devices, start_ms, end_ms)
        subjects |= {r.subject for held in reservations.values() for r in held}
        places = places_at(connection, devices, start_ms, context.settings.zone)
        points = {
            zone: points_of(connection, zone, start_ms, end_ms, signal, scope)
            for zone in {place.zone for place in places.values()}
        }
        claims = claims_of(connection, subjects)
        return cls(
            ratings, (start_ms, end_ms), meters, readings, reservations, claims, places, points
        )

    def rows(self, device: int) -> tuple[Rate, list[BucketRow]]:
        rate = self._rate(self._places[device])
        views = [
            MeterView(ref.meter, ref.kind, tuple(settle(self._readings.get(ref.meter, ()))))
            for ref in self._meters.get(device, ())
        ]
        held = self._reservations.get(device, ())
        rows = roll_bucket(views, rate, self._workload_at, held, self._start_ms, self._end_ms)
        return rate, rows

    def ledger_rows(self, device: int, workload: int, subject: int | None) -> list[LedgerRow]:
        """What one workload (and, where given, one subject of it) has of the span."""
        rate, rows = self.rows(device)
        return [
            LedgerRow(
                device,
                row.subject,
                int(row.method),
                rate.rating,
                row.energy_mj,
                row.operational_ng,
                row.covered_ms,
                row.reserved_ms,
            )
            for row in rows
            if row.workload == workload and subject in (None, row.subject)
        ]

    def stored_rows(self, device: int) -> list[dict[str, object]]:
        """Rows of the table `bucket`."""
        rate, rows = self.rows(device)
        return [
            {
                "start_ms": self._start_ms,
                "device_id": device,
                "subject_id": row.subject,
                "workload_id": row.workload,
                "method": int(row.method),
                "energy_mj": row.energy_mj,
                "operational_ng": row.operational_ng,
                "covered_ms": row.covered_ms,
                "reserved_ms": row.reserved_ms,
                "meter_id": row.meter,
                "rating_id": rate.rating,
                "vintage_id": rate.vintage,
                "g_per_kwh": rate.g_per_kwh,
                "pue": rate.pue,
            }
            for row in rows
        ]

    def _workload_at(self, subject: int, at_ms: int) -> int:
        return workload_of(self._claims.get(subject, ()), at_ms)

    def _rate(self, place: Place) -> Rate:
        points = self._points[place.zone]
        mean = mean_g_per_kwh(points, self._start_ms, self._end_ms)
        if mean is None:
            raise InvalidInput(
                "missing_intensity",
                f"no such intensity is stored for {place.zone} at {to_rfc3339(self._start_ms)}",
            )
        main = max(points, key=_overlap(self._start_ms, self._end_ms))
        rating = self._ratings.id_of(rating_of(place.zone, main, place.flags))
        return Rate(rating, main.vintage, mean, place.pue)


def _overlap(start_ms: int, end_ms: int) -> Callable[[RatedPoint], int]:
    return lambda point: min(point.end_ms, end_ms) - max(point.start_ms, start_ms)


def _roll_hours(context: Context) -> bool:
    now_ms = context.clock.now_ms()
    timezone = ZoneInfo(context.settings.timezone)
    with writing(context.engine) as connection:
        hours = take_dirty_hours(connection, _HOURS_AT_ONCE)
        days = set()
        for start_ms, workload_id in hours:
            end_ms = start_ms + MS_PER_HOUR
            set_workload_period(connection, workload_hour, workload_id, start_ms, end_ms, now_ms)
            days |= {(day, workload_id) for day in civil_days(start_ms, end_ms, timezone)}
        for (day_start_ms, day_end_ms), workload_id in sorted(days):
            set_workload_period(
                connection, workload_day, workload_id, day_start_ms, day_end_ms, now_ms
            )
        return bool(hours)


def civil_days(start_ms: int, end_ms: int, timezone: ZoneInfo) -> list[tuple[int, int]]:
    """The civil days, as [start, end) in epoch ms, that [start, end) touches; 23 to 25 h long."""
    days: list[tuple[int, int]] = []
    date = datetime.fromtimestamp(start_ms / 1000, timezone).date()
    while True:
        lo, hi = (
            round(datetime(d.year, d.month, d.day, tzinfo=timezone).timestamp() * 1000)
            for d in (date, date + timedelta(days=1))
        )
        if lo >= end_ms:
            return days
        days.append((lo, hi))
        date += timedelta(days=1)
