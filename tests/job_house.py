"""A deployment in memory, with a clock and an engine that do as they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from stores import migrate

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES
from carbon.executors.executor import AttemptSpec, Handle, Logs, Look, LookState
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.context import Context
from carbon.services.grid.intensity import record_vintage
from carbon.services.jobs.jobs import Jobs
from carbon.settings import Settings
from carbon.storage.engine import memory_engine, reading
from carbon.storage.jobs import attempt
from carbon.wire.jobs import JobBody

HOUR = 3_600_000
#: Of which no typical hours are known: what is not foretold there moves nothing.
ZONE = "WORLD"
#: 2026-05-01T00:00:00Z.
NOW = 1_777_593_600_000

OWNER = Principal("k1", "ana", "default", TEAM_SCOPES)
ADMIN = Principal("k2", "root", "default", ADMIN_SCOPES)
STRANGER = Principal("k3", "eve", "other", TEAM_SCOPES)


@dataclass
class FakeExecutor:
    """Keeps the contract of an executor in memory; jobs end when a test says so."""

    clock: FakeClock
    name: str = "local"
    default_capacity: int = 1
    attempts: dict[str, Look] = field(default_factory=dict)
    #: Attempts whose command was begun, each time: no id may stand here twice.
    begun: list[str] = field(default_factory=list)
    env: dict[str, Mapping[str, str]] = field(default_factory=dict)
    away: Exception | None = None
    #: Each pause and resumption: (attempt, when, what it is from then on).
    turns: list[tuple[str, int, LookState]] = field(default_factory=list)
    begins_at_once: bool = True

    def start(self, attempt: AttemptSpec) -> str:
        self._answer()
        if attempt.attempt_id not in self.attempts and not self.begins_at_once:
            self.attempts[attempt.attempt_id] = Look(LookState.PENDING)
        if attempt.attempt_id not in self.attempts:
            self.begun.append(attempt.attempt_id)
            self.env[attempt.attempt_id] = attempt.env
            self.attempts[attempt.attempt_id] = Look(LookState.RUNNING, self.clock.now_ms())
        return f"fake:{attempt.attempt_id}"

    def look(self, handle: Handle) -> Look:
        self._answer()
        return self.attempts.get(handle.attempt_id, Look(LookState.ABSENT))

    def cancel(self, handle: Handle) -> None:
        self._answer()
        known = self.attempts.get(handle.attempt_id)
        if known is None:
            now_ms = self.clock.now_ms()
            self.attempts[handle.attempt_id] = Look(LookState.ENDED, None, now_ms)
        elif known.state in (LookState.RUNNING, LookState.PAUSED):
            self.end(handle.attempt_id, 143)

    def pause(self, handle: Handle) -> None:
        self._turn(handle.attempt_id, LookState.RUNNING, LookState.PAUSED)

    def resume(self, handle: Handle) -> None:
        self._turn(handle.attempt_id, LookState.PAUSED, LookState.RUNNING)

    def _turn(self, attempt_id: str, before: LookState, after: LookState) -> None:
        self._answer()
        known = self.attempts.get(attempt_id)
        if known is not None and known.state is before:
            self.turns.append((attempt_id, self.clock.now_ms(), after))
            self.attempts[attempt_id] = replace(known, state=after)

    def logs(self, handle: Handle) -> Logs:
        return Logs(f"output of {handle.attempt_id}", "")

    def end(self, attempt_id: str, exit_code: int = 0) -> None:
        self.attempts[attempt_id] = replace(
            self.attempts[attempt_id],
            state=LookState.ENDED,
            end_ms=self.clock.now_ms(),
            exit_code=exit_code,
        )

    def lose(self, attempt_id: str, start_ms: int | None) -> None:
        self.attempts[attempt_id] = Look(LookState.LOST, start_ms)

    def running(self) -> list[str]:
        return [a for a, look in self.attempts.items() if look.state is LookState.RUNNING]

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away


@dataclass
class House:
    """All of one deployment that a test of jobs needs."""

    context: Context
    clock: FakeClock
    executor: FakeExecutor
    jobs: Jobs
    scheduler: Scheduler

    @classmethod
    def build(cls, engine: Engine, data_dir: Path, zone: str = ZONE) -> House:
        clock = FakeClock(NOW)
        context = Context(engine, Settings(data_dir=data_dir, zone=zone, feeds=False), clock)
        executor = FakeExecutor(clock)
        executors = {"local": executor}
        scheduler = Scheduler(context, executors, Leader(context, "first"))
        return cls(context, clock, executor, Jobs(context, executors), scheduler)

    def forecast(
        self,
        *g_per_kwh: float,
        start_ms: int = NOW,
        kind: PointKind = PointKind.FORECAST,
        published_ms: int | None = None,
    ) -> None:
        """One figure an hour."""
        points = tuple(
            IntensityPoint(start_ms + i * HOUR, start_ms + (i + 1) * HOUR, value, kind)
            for i, value in enumerate(g_per_kwh)
        )
        at_ms = published_ms if published_ms is not None else self.clock.now_ms()
        zone = self.context.settings.zone or ZONE
        vintage = Vintage(zone, "test", Signal.AVERAGE, EmissionScope.LIFECYCLE, at_ms, points)
        assert record_vintage(self.context, vintage) == []

    def rival(self) -> Scheduler:
        """Another process on the same database and engine."""
        executors = {"local": self.executor}
        return Scheduler(self.context, executors, Leader(self.context, "second"))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.scheduler.tick()

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.scheduler.tick()

    def attempt_states(self) -> dict[str, str]:
        with reading(self.context.engine) as connection:
            return {r.id: r.state for r in connection.execute(select(attempt))}


_store = cache(memory_engine)


def fresh_engine() -> Engine:
    """A migrated, empty store in memory; it replaces the one given out before.

    One engine for all, whose compiled statements are kept: they cost many times what a test does.
    """
    return migrate(_store())


def job(**fields: Any) -> JobBody:
    stated = {
        "name": "train",
        "executor": "local",
        "deadline": "6h",
        "command": ["true"],
        "length_s": 3600.0,
    }
    return JobBody(**{**stated, **fields})
