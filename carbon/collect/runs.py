"""Runs in progress: who registered them, and what was attributed to them so far.

Kept on disk, so that a run goes on across a restart of the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from msgspec import Struct

from carbon.collect.spool_db import SpoolDb
from carbon.collect.subjects import Subject
from carbon.domain.units import BUCKET_MS
from carbon.wire.energy import EnergyInterval


class Run(Struct, frozen=True):
    run: str
    workload: str | None
    #: The process that runs it, or waits for it; 0 where none was named.
    pid: int
    pid_started: float
    #: It holds all devices of the host, also while they are idle.
    reserve: bool
    start_ms: int

    @property
    def subject(self) -> Subject:
        return Subject.of_run(self.run, self.workload)


class Runs:
    def __init__(self, db: SpoolDb) -> None:
        self._db = db
        self._active = {run.run: run for run in self._load()}

    @property
    def active(self) -> Sequence[Run]:
        """In order of their start."""
        return list(self._active.values())

    def get(self, run: str) -> Run | None:
        return self._active.get(run)

    @property
    def holder(self) -> Run | None:
        """The run that reserved the host's devices, if one did."""
        return next((run for run in self._active.values() if run.reserve), None)

    def start(self, run: Run) -> None:
        with self._db.transaction() as tx:
            tx.execute(
                "INSERT INTO run (run, workload, pid, pid_started, reserve, start_ms)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (run.run, run.workload, run.pid, run.pid_started, run.reserve, run.start_ms),
            )
        self._active[run.run] = run

    def add_energy(self, intervals: Iterable[EnergyInterval]) -> None:
        """Books what belongs to active runs; joins neighbours within one 5-minute bucket, so
        that a run of a day stays small."""
        with self._db.transaction():
            for interval in intervals:
                if interval.run is not None and interval.run in self._active:
                    self._add(interval.run, interval)

    def energy(self, run: str) -> list[EnergyInterval]:
        rows = self._db.rows(
            "SELECT device, start_ms, end_ms, energy_mj, method FROM run_energy"
            " WHERE run = ? ORDER BY start_ms, device",
            run,
        )
        known = self._active.get(run)
        workload = known.workload if known else None
        return [
            EnergyInterval(*cast(tuple[str, int, int, int, str], row), workload, run)
            for row in rows
        ]

    def end(self, run: str) -> None:
        with self._db.transaction() as tx:
            tx.execute("DELETE FROM run WHERE run = ?", (run,))
            tx.execute("DELETE FROM run_energy WHERE run = ?", (run,))
        self._active.pop(run, None)

    def _add(self, run: str, interval: EnergyInterval) -> None:
        bucket_ms = interval.start_ms - interval.start_ms % BUCKET_MS
        with self._db.transaction() as tx:
            joined = tx.execute(
                "UPDATE run_energy SET end_ms = ?, energy_mj = energy_mj + ?"
                " WHERE run = ? AND device = ? AND end_ms = ? AND method = ? AND start_ms >= ?",
                (
                    interval.end_ms,
                    interval.energy_mj,
                    run,
                    interval.device,
                    interval.start_ms,
                    interval.method,
                    bucket_ms,
                ),
            )
            if joined.rowcount == 0:
                tx.execute(
                    "INSERT INTO run_energy (run, device, start_ms, end_ms, energy_mj, method)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                    " end_ms = max(end_ms, excluded.end_ms),"
                    " energy_mj = energy_mj + excluded.energy_mj",
                    (
                        run,
                        interval.device,
                        interval.start_ms,
                        interval.end_ms,
                        interval.energy_mj,
                        interval.method,
                    ),
                )

    def _load(self) -> list[Run]:
        rows = self._db.rows(
            "SELECT run, workload, pid, pid_started, reserve, start_ms FROM run ORDER BY start_ms"
        )
        return [
            Run(run, workload, pid, pid_started, bool(reserve), start_ms)
            for run, workload, pid, pid_started, reserve, start_ms in cast(
                list[tuple[str, str | None, int, float, int, int]], rows
            )
        ]
