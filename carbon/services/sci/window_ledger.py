"""Everything that a window's score is computed from, read from the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from carbon.domain.factor_book import FactorBook
from carbon.domain.intensity import Signal
from carbon.domain.units import BUCKET_MS, QUARTER_MS, ceil_to, floor_to
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.rollup.bucket_roller import BucketRoller
from carbon.services.rollup.raw_readings import has_readings
from carbon.services.sci.bridged import bridged_bounds
from carbon.services.sci.coverage import coverage_of
from carbon.services.sci.question import Question
from carbon.storage.ledger_rows import (
    DeviceRef,
    LedgerRow,
    RowKey,
    added,
    bucket_starts,
    devices_by_id,
    devices_in_bucket,
    rows_between,
)
from carbon.storage.ratings import Rating, Ratings
from carbon.storage.sealed_days import buckets_kept_from
from carbon.storage.settled import PiecesOf


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything a window's score is computed from."""

    workload_id: int
    subject_id: int | None
    start_ms: int
    end_ms: int
    rows: Sequence[LedgerRow]
    devices: Mapping[int, DeviceRef]
    ratings: Mapping[int, Rating]
    factors: FactorBook
    coverage: float | None
    flags: tuple[str, ...]
    #: (low_ng, high_ng) of the rows whose mass is bounded by more than their price and meter.
    bounds: Mapping[RowKey, tuple[int, int]] = field(default_factory=dict)
    #: Where gaps were filled: counts there are no longer set aside.
    filled: Sequence[tuple[int, int]] = ()
    #: Part of `rows`: of filled gaps, of idle time by policy, of components without a meter.
    added_rows: Sequence[LedgerRow] = ()
    #: No meter of ours sees the workload: its units all count.
    counts_all: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows are read, and how they are priced."""

    context: Context
    connection: Connection
    ratings: Ratings
    workload_id: int
    subject_id: int | None
    question: Question
    pieces: PiecesOf

    def rolled_rows(self, start_ms: int, end_ms: int) -> list[LedgerRow]:
        return rows_between(
            self.connection, self.workload_id, start_ms, end_ms, self.pieces, self.subject_id
        )

    def raw_rows(self, start_ms: int, end_ms: int) -> list[LedgerRow]:
        """Rows of a part of one bucket, from its raw readings."""
        bucket_ms = floor_to(start_ms, BUCKET_MS)
        devices = devices_in_bucket(self.connection, self.workload_id, bucket_ms)
        roller = BucketRoller.load(
            self.context,
            self.connection,
            self.ratings,
            devices,
            start_ms,
            end_ms,
            self.question.signal or Signal.AVERAGE,
            self.question.scope,
        )
        return [
            row
            for device in devices
            for row in roller.ledger_rows(device, self.workload_id, self.subject_id)
        ]


def read_ledger(scope: Scope, start_ms: int, end_ms: int, book: FactorBook) -> Ledger:
    rows, snapped = _rows(scope, start_ms, end_ms)
    connection = scope.connection
    return Ledger(
        scope.workload_id,
        scope.subject_id,
        start_ms,
        end_ms,
        rows,
        devices_by_id(connection, sorted({row.device_id for row in rows})),
        scope.ratings.by_id,
        book,
        coverage_of(scope.context, connection, rows, start_ms, end_ms),
        ("window_snapped",) if snapped else (),
        bridged_bounds(connection, scope.workload_id, rows, start_ms, end_ms),
    )


def _rows(scope: Scope, start_ms: int, end_ms: int) -> tuple[list[LedgerRow], bool]:
    """The window's rows, and whether it had to be snapped outward.

    Whole buckets come from the roll-ups, unless another signal or scope was asked for; the
    buckets at the edges from raw readings, or whole where these are no longer hot.
    """
    rows: list[LedgerRow] = []
    lo_ms, hi_ms = _snapped(scope, start_ms, end_ms)
    snapped = (lo_ms, hi_ms) != (start_ms, end_ms)
    for lo, hi, is_whole in _spans(lo_ms, hi_ms):
        if is_whole and not scope.question.is_rerated:
            rows += scope.rolled_rows(lo, hi)
            continue
        for at in bucket_starts(scope.connection, scope.workload_id, lo, hi):
            if has_readings(scope.context, scope.connection, at, at + BUCKET_MS):
                rows += scope.raw_rows(max(at, lo), min(at + BUCKET_MS, hi))
            elif whole := scope.rolled_rows(at, at + BUCKET_MS):
                _check_rerating(scope.question)
                rows += whole
                snapped |= not is_whole
    return added(rows), snapped


def _snapped(scope: Scope, start_ms: int, end_ms: int) -> tuple[int, int]:
    """Outward to quarter-hours where the buckets are gone."""
    kept_ms = buckets_kept_from(scope.connection)
    if kept_ms and start_ms < kept_ms:
        _check_rerating(scope.question)
        start_ms = floor_to(start_ms, QUARTER_MS)
        end_ms = ceil_to(end_ms, QUARTER_MS) if end_ms < kept_ms else end_ms
    return start_ms, end_ms


def _check_rerating(question: Question) -> None:
    if question.is_rerated:
        raise InvalidInput(
            "window_not_hot",
            "another signal or scope can be asked for while 5-minute buckets are kept; "
            "choose a later start",
        )


def _spans(start_ms: int, end_ms: int) -> list[tuple[int, int, bool]]:
    """(start, end, is_whole): the edges inside one bucket each, and the whole buckets between."""
    first, last = ceil_to(start_ms, BUCKET_MS), floor_to(end_ms, BUCKET_MS)
    if first > last:
        return [(start_ms, end_ms, False)]
    spans = [(start_ms, first, False), (first, last, True), (last, end_ms, False)]
    return [span for span in spans if span[0] < span[1]]
