"""Schedulers that race each other and are killed at every step of a hand-over: what ran, and how
often. A job that ran twice is a duplicate, one that did not run is lost.

Each life of a scheduler ends by SIGKILL at a step drawn at random: before or after a transaction
is committed, before or after an engine was told or looked at.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event

from carbon.clock import SystemClock
from carbon.domain.jobs import JobState
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.executors.executor import Executor
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.context import Context
from carbon.services.jobs.jobs import Jobs
from carbon.settings import Settings
from carbon.storage.engine import create_engine, reading
from carbon.storage.migrations import upgrade
from carbon.storage.screens import jobs_by_state
from carbon.wire.jobs import JobBatch, JobBody

#: Steps that a life lasts at most: some jobs' worth.
_MOST_STEPS: Final = 60
_LEASE_MS: Final = 60
_OWNER: Final = Principal("bench", "bench", "default", ADMIN_SCOPES)
#: Guards against hanging alone.
_END_S: Final = 3600
#: Lives per job, so that every step is met many times over.
_LIVES: Final = 1.0

#: Made anew in each process, over what lasts.
Open = Callable[[], Executor]


@dataclass(frozen=True, slots=True)
class Outcome:
    jobs: int
    kills: int
    duplicates: int
    lost: int


def race(engine: Open, jobs: int, folder: Path, seed: int = 8) -> Outcome:
    """Runs so many jobs of an engine to their end, through kills. `folder` is shared with it."""
    marks, dice = folder / "marks", random.Random(seed)
    _submit(engine, jobs, folder, marks)
    fork = multiprocessing.get_context("fork")
    kills = 0
    for _ in range(max(4, round(jobs * _LIVES / 2))):
        steps = [dice.randint(1, _MOST_STEPS) for _ in range(2)]
        rivals = [fork.Process(target=_live, args=(engine, folder, n), daemon=True) for n in steps]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join(60)
            kills += rival.exitcode == -signal.SIGKILL
            rival.kill()
    survivor = fork.Process(target=_live, args=(engine, folder, None), daemon=True)
    survivor.start()
    _wait_for_the_end(folder)
    survivor.kill()
    survivor.join()
    ran = Counter(marks.read_text().split()) if marks.exists() else Counter[str]()
    jobs_that_ran = {run.rpartition("-")[0] for run in ran}
    duplicates = sum(ran.values()) - len(jobs_that_ran)
    return Outcome(jobs, kills, duplicates, jobs - len(jobs_that_ran))


def _context(folder: Path) -> Context:
    store = create_engine(f"sqlite:///{folder / 'carbon.db'}")
    return Context(store, Settings(data_dir=folder, zone="WORLD", feeds=False), SystemClock())


def _submit(engine: Open, count: int, folder: Path, marks: Path) -> None:
    context, executor = _context(folder), engine()
    upgrade(context.engine)
    bodies = [
        JobBody(
            name="once",
            executor=executor.name,
            deadline="1d",
            command=f"echo $CARBON_RUN >> {marks}",
        )
        for _ in range(count)
    ]
    made = Jobs(context, {executor.name: executor})
    for first in range(0, count, 500):
        made.submit_batch(_OWNER, JobBatch(bodies[first : first + 500]))
    context.engine.dispose()


def _live(engine: Open, folder: Path, steps: int | None) -> None:
    """A scheduler's life, of so many steps, or until it is ended from outside."""
    context = _context(folder)
    countdown = _Countdown(steps)
    event.listen(context.engine, "commit", countdown.step)
    event.listen(context.engine, "checkin", countdown.step)
    executor = _Watched(engine(), countdown)
    leader = Leader(context, ttl_ms=_LEASE_MS)
    scheduler = Scheduler(context, {executor.name: executor}, leader)
    while True:
        scheduler.tick()
        countdown.step()
        time.sleep(0.005)


class _Countdown:
    def __init__(self, steps: int | None) -> None:
        self._left = steps

    def step(self, *_: object) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class _Watched:
    """An engine whose calls are two steps each."""

    def __init__(self, engine: Executor, countdown: _Countdown) -> None:
        self._engine, self._countdown = engine, countdown
        self.name, self.default_capacity = engine.name, max(8, engine.default_capacity)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._engine, name)

        def watched(*arguments: Any) -> Any:
            self._countdown.step()
            answer = call(*arguments)
            self._countdown.step()
            return answer

        return watched


def _wait_for_the_end(folder: Path) -> None:
    context, end = _context(folder), time.monotonic() + _END_S
    open_states = {str(state) for state in JobState if not state.is_final}
    while time.monotonic() < end:
        with reading(context.engine) as connection:
            if not open_states & {s for s, n in jobs_by_state(connection, None).items() if n}:
                break
        time.sleep(0.5)
    context.engine.dispose()
