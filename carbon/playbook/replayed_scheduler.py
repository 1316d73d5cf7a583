"""The service's own scheduler over a replayed grid: a deployment in memory whose clock we turn."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from carbon.clock import FakeClock, from_rfc3339, to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.principal import Principal
from carbon.domain.tenancy import TEAM_SCOPES
from carbon.domain.units import MS_PER_DAY
from carbon.executors.executor import AttemptSpec, Handle, Logs, Look, LookState
from carbon.planning.series import IntensitySeries
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.context import Context
from carbon.services.grid.intensity import record_vintage
from carbon.services.jobs.jobs import Jobs
from carbon.settings import Settings
from carbon.storage.engine import memory_engine
from carbon.storage.migrations import upgrade
from carbon.wire.jobs import JobBody

#: A zone of no feed: what is replayed alone prices it.
ZONE: Final = "REPLAYED"
#: How long it waits at most to look again at a job that is due.
_STEP_MS: Final = 60_000
_OWNER: Final = Principal("playbook", "playbook", "default", TEAM_SCOPES)


class HeldForItsLength:
    """An engine that begins what it is given at once, and ends it after its length."""

    name: str = "replay"
    default_capacity: int = 1_000

    def __init__(self, clock: FakeClock, length_ms: int) -> None:
        self._clock, self._length_ms = clock, length_ms
        self._begun_ms: dict[str, int] = {}

    def start(self, attempt: AttemptSpec) -> str:
        self._begun_ms.setdefault(attempt.attempt_id, self._clock.now_ms())
        return attempt.attempt_id

    def look(self, handle: Handle) -> Look:
        start_ms = self._begun_ms.get(handle.attempt_id)
        if start_ms is None:
            return Look(LookState.ABSENT)
        end_ms = start_ms + self._length_ms
        if self._clock.now_ms() < end_ms:
            return Look(LookState.RUNNING, start_ms)
        return Look(LookState.ENDED, start_ms, end_ms, exit_code=0)

    def cancel(self, handle: Handle) -> None:
        self._begun_ms.pop(handle.attempt_id, None)

    def logs(self, handle: Handle) -> Logs:
        return Logs("", "")


class ReplayedScheduler:
    """Jobs of one length and a deadline, dispatched by the scheduler as they become due.

    It sees the grid as it was: a perfect forecast.
    """

    def __init__(self, grid: IntensitySeries, length_ms: int, patience_ms: int) -> None:
        self._length_ms, self._patience_ms = length_ms, patience_ms
        self._clock = FakeClock(int(grid.start_ms[0]))
        engine = memory_engine()
        upgrade(engine)
        self._folder = tempfile.TemporaryDirectory(prefix="carbon-replay-")
        settings = Settings(data_dir=Path(self._folder.name), zone=ZONE, feeds=False)
        context = Context(engine, settings, self._clock)
        held = HeldForItsLength(self._clock, length_ms)
        executors = {held.name: held}
        record_vintage(context, _forecast(grid))
        self._jobs = Jobs(context, executors)
        self._scheduler = Scheduler(context, executors, Leader(context, "playbook"))

    def starts_ms(self, arrivals_ms: Sequence[int], power_w: float) -> list[int]:
        """When each of the jobs begins; arrivals lie in order of time.

        Raises CarbonError where one cannot be submitted.
        """
        waiting: list[str] = []
        submitted = [self._arrive(at_ms, power_w, waiting) for at_ms in arrivals_ms]
        while waiting:
            self._run_until(self._next_due_ms(waiting), waiting)
        begun = [self._jobs.result(_OWNER, job).start for job in submitted]
        return [from_rfc3339(at) for at in begun if at is not None]

    def _arrive(self, at_ms: int, power_w: float, waiting: list[str]) -> str:
        while waiting and self._next_due_ms(waiting) < at_ms:
            self._run_until(self._next_due_ms(waiting), waiting)
        self._run_until(at_ms, waiting)
        body = JobBody(
            name="replayed",
            executor=HeldForItsLength.name,
            command=["true"],
            deadline=to_rfc3339(at_ms + self._patience_ms),
            length_s=self._length_ms / 1000,
            power_w=power_w,
        )
        job = self._jobs.submit(_OWNER, body).id
        waiting.append(job)
        return job

    def _next_due_ms(self, waiting: Sequence[str]) -> int:
        """Nothing happens before: the grid is known."""
        placements = (self._jobs.get(_OWNER, job).placement for job in waiting)
        planned = (placed.start for placed in placements if placed is not None)
        earliest_ms = min(from_rfc3339(start) for start in planned if start is not None)
        return max(earliest_ms, self._clock.now_ms() + _STEP_MS)

    def _run_until(self, at_ms: int, waiting: list[str]) -> None:
        self._clock.advance((at_ms - self._clock.now_ms()) / 1000)
        self._scheduler.tick()
        waiting[:] = [job for job in waiting if self._jobs.result(_OWNER, job).start is None]


def _forecast(grid: IntensitySeries) -> Vintage:
    """Published a day before it begins, so that nobody takes it for stale."""
    points = tuple(
        IntensityPoint(int(start_ms), int(end_ms), float(g_per_kwh), PointKind.FORECAST)
        for start_ms, end_ms, g_per_kwh in zip(
            grid.start_ms, grid.end_ms, grid.g_per_kwh, strict=True
        )
    )
    published_ms = points[0].start_ms - MS_PER_DAY
    return Vintage(ZONE, "replay", Signal.AVERAGE, EmissionScope.LIFECYCLE, published_ms, points)
