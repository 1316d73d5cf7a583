"""Rows of hours, and of days and months that are settled, kept in memory as columns.

Every report of a whole fleet reads the same thousands of them, and they change seldom. Each
question asks the database which of them were written since (`storage/period_changes`), in its own
transaction, and reads those again: another process may have written them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, Engine

from carbon.domain.civil import civil_days, civil_month
from carbon.domain.units import MS_PER_HOUR, ceil_to
from carbon.storage.column_reads import read_columns
from carbon.storage.columns import Ints
from carbon.storage.period_changes import Changes, changes_in
from carbon.storage.rollups import workload_day, workload_hour
from carbon.storage.settled import Piece, device_day, device_hour, device_month

#: Of what is kept for each store. A fleet of 1 000 GPUs and 200 workloads takes 5 MB for a day's
#: hours by device, 4 for the days and months of a year's window, 7 for a year's days by workload.
MOST_BYTES: Final = 48_000_000
#: What a period takes beside its rows, about: some have none.
_OWN_BYTES: Final = 512

_MEASURES: Final = ("energy_mj", "operational_ng", "covered_ms", "reserved_ms")
#: Of each row, in order: its keys, then its measures.
BY_DEVICE: Final = (
    "workload_id",
    "device_id",
    "subject_id",
    "method",
    "rating_id",
    *_MEASURES,
    "expected_ms",
)
BY_WORKLOAD: Final = ("workload_id", "model_id", "method", "rating_id", *_MEASURES)
COLUMNS: Final = {
    device_hour: BY_DEVICE,
    device_day: BY_DEVICE,
    device_month: BY_DEVICE,
    workload_hour: BY_WORKLOAD,
    workload_day: BY_WORKLOAD,
}

#: (table, start_ms, end_ms)
_Period = Piece


def parted(pieces: Iterable[Piece]) -> tuple[list[Piece], list[Piece]]:
    """Those whose rows are kept, and the others."""
    kept: list[Piece] = []
    others: list[Piece] = []
    for piece in pieces:
        (kept if piece[0] in COLUMNS else others).append(piece)
    return kept, others


def period_rows(
    connection: Connection, pieces: Collection[Piece], timezone: ZoneInfo
) -> list[tuple[int, Ints]]:
    """(start_ms, its rows as (COLUMNS, n), not to be written to) of each period that begins in one
    of some pieces."""
    periods = [period for piece in pieces for period in _periods(piece, timezone)]
    if not periods:
        return []
    # Before any row is read: what is kept under a number is never older than it.
    changes = changes_in(connection, [(run[0][0], run[0][1], run[-1][2]) for run in _runs(periods)])
    memory = _memories.setdefault(connection.engine, _Memory())
    found = {} if changes is None else memory.held(periods, changes)
    for run in _runs([period for period in periods if period not in found]):
        read = _read(connection, run)
        found |= read
        if changes is not None:
            memory.keep(read, changes, set(periods))
    return [(period[1], found[period]) for period in periods]


def _periods(piece: Piece, timezone: ZoneInfo) -> Iterator[_Period]:
    table, start_ms, end_ms = piece
    if table in (device_hour, workload_hour):
        for at in range(ceil_to(start_ms, MS_PER_HOUR), end_ms, MS_PER_HOUR):
            yield table, at, at + MS_PER_HOUR
    elif table is device_month:
        while start_ms < end_ms:
            month = civil_month(start_ms, timezone)
            yield table, *month
            start_ms = month[1]
    else:
        for lo, hi in civil_days(start_ms, end_ms, timezone):
            if lo >= start_ms:
                yield table, lo, hi


def _runs(periods: Sequence[_Period]) -> list[list[_Period]]:
    """Those that follow each other in one table."""
    runs: list[list[_Period]] = []
    for period in periods:
        if runs and runs[-1][-1][0] is period[0] and runs[-1][-1][2] == period[1]:
            runs[-1].append(period)
        else:
            runs.append([period])
    return runs


def _read(connection: Connection, run: Sequence[_Period]) -> dict[_Period, Ints]:
    table, start_ms, end_ms = run[0][0], run[0][1], run[-1][2]
    source = f"{table.name} WHERE start_ms >= {start_ms} AND start_ms < {end_ms}"
    rows = read_columns(connection, ["start_ms", *COLUMNS[table]], source)
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    ends = np.searchsorted(rows[:, 0], [end for _, _, end in run])
    parts = np.split(rows[:, 1:], ends[:-1])
    # Copies, so that none of them keeps all the others in memory.
    return {period: _sealed(part.T.copy()) for period, part in zip(run, parts, strict=True)}


def _sealed(rows: Ints) -> Ints:
    rows.flags.writeable = False
    return rows


@dataclass(frozen=True, slots=True)
class _Held:
    #: Empty where the period was never written since numbers are drawn.
    change: tuple[tuple[int, int], ...]
    rows: Ints

    @property
    def size(self) -> int:
        """Bytes."""
        return self.rows.nbytes + _OWN_BYTES


@dataclass
class _Memory:
    """Of one store; what was longest not asked for goes first."""

    _held: OrderedDict[_Period, _Held] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def held(self, periods: Collection[_Period], changes: Changes) -> dict[_Period, Ints]:
        """Of some periods those that stand."""
        found = {}
        with self._lock:
            for period in periods:
                known = self._held.get(period)
                if known is not None and known.change == changes.of(*period):
                    self._held.move_to_end(period)
                    found[period] = known.rows
        return found

    def keep(
        self,
        read: Mapping[_Period, Ints],
        changes: Changes,
        asked: Collection[_Period],
    ) -> None:
        """As many as there is room for beside all others that are asked for now."""
        with self._lock:
            for period, rows in read.items():
                self._drop(period)
                made = _Held(changes.of(*period), rows)
                while self._bytes + made.size > MOST_BYTES and self._held:
                    oldest = next(iter(self._held))
                    if oldest in asked:
                        return
                    self._drop(oldest)
                if made.size <= MOST_BYTES:
                    self._held[period] = made
                    self._bytes += made.size

    def _drop(self, period: _Period) -> None:
        gone = self._held.pop(period, None)
        if gone is not None:
            self._bytes -= gone.size


_memories: WeakKeyDictionary[Engine, _Memory] = WeakKeyDictionary()
