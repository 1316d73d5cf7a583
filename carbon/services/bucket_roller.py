"""Reads what a bucket needs and applies the ledger's rule (`domain.rollup`) to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterView, Reading, settle
from carbon.domain.intensity import EmissionScope, RatedPoint, Signal, mean_g_per_kwh
from carbon.domain.rollup import BucketRow, Rate, Reservation, roll_bucket
from carbon.domain.units import BUCKET_MS
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.intensity import points_of
from carbon.storage.energy import readings_between, reservations_between
from carbon.storage.ledger_rows import LedgerRow
from carbon.storage.names import MeterRef, claims_of, meters_of
from carbon.storage.places import Place, places_at
from carbon.storage.ratings import Ratings, rating_of


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
