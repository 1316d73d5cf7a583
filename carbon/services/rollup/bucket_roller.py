"""Reads what a part of a bucket needs and applies the ledger's rule (`domain.rollup`) to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterView, Reading, settle
from carbon.domain.intensity import EmissionScope, Signal
from carbon.domain.rollup import BucketRow, Rate, Reservation, roll_bucket
from carbon.domain.units import BUCKET_MS, QUARTER_MS, floor_to
from carbon.services.context import Context
from carbon.services.rollup.prices import Prices
from carbon.services.rollup.raw_readings import readings_of
from carbon.storage.attributed import claims_of
from carbon.storage.energy import reservations_between
from carbon.storage.ledger_rows import LedgerRow
from carbon.storage.metered import wholes_set_aside
from carbon.storage.names import MeterRef, meters_of
from carbon.storage.ratings import Ratings


def _counted_meters(
    connection: Connection, devices: Collection[int], start_ms: int
) -> dict[int, list[MeterRef]]:
    """The meters of each device; none of a whole host in a quarter-hour in which parts of it were
    read, in whichever order both came."""
    meters = meters_of(connection, devices)
    for whole in wholes_set_aside(connection, devices, floor_to(start_ms, QUARTER_MS)):
        meters.pop(whole, None)
    return meters


class BucketRoller:
    """All that is needed to roll up some devices over [start, end) inside one bucket."""

    def __init__(
        self,
        prices: Prices,
        span_ms: tuple[int, int],
        meters: Mapping[int, Sequence[MeterRef]],
        readings: Mapping[int, Sequence[Reading]],
        reservations: Mapping[int, Sequence[Reservation]],
        claims: Mapping[int, Sequence[Claim]],
    ) -> None:
        self._prices = prices
        self._start_ms, self._end_ms = span_ms
        self._meters = meters
        self._readings = readings
        self._reservations = reservations
        self._claims = claims

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
        meters = _counted_meters(connection, devices, start_ms)
        meter_ids = [ref.meter for refs in meters.values() for ref in refs]
        readings: dict[int, list[Reading]] = {}
        subjects = set()
        for r in readings_of(context, connection, bucket_ms, bucket_ms + BUCKET_MS, meter_ids):
            readings.setdefault(r.meter, []).append(r)
            subjects.add(r.subject)
        reservations = reservations_between(connection, devices, start_ms, end_ms)
        subjects |= {r.subject for held in reservations.values() for r in held}
        prices = Prices.load(
            context, connection, ratings, devices, (start_ms, end_ms), signal, scope
        )
        claims = claims_of(connection, subjects)
        return cls(prices, (start_ms, end_ms), meters, readings, reservations, claims)

    def rows(self, device: int) -> tuple[Rate, list[BucketRow]]:
        rate = self._prices.rate(device)
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
