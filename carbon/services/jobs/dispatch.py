"""From a due job to a running one, exactly once, wherever this process is killed.

    1  in one transaction: WAITING → STARTING, and an attempt in the outbox
    2  the executor is told; it keys by the attempt's id, so telling twice is telling once
    3  what the executor knows is looked at and written down, until the attempt has ended

A process that dies between two steps leaves the outbox for the next leader, who goes on with
step 2. A former leader that wakes up late can only repeat step 2; its writes are fenced.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial

from carbon.domain.claims import SubjectRef
from carbon.domain.jobs import AttemptState, JobState
from carbon.errors import CarbonError, Conflicting
from carbon.executors.executor import (
    AttemptSpec,
    Executor,
    Handle,
    Look,
    LookState,
    Pausing,
)
from carbon.executors.registry import Executors, executor_named
from carbon.services.context import Context
from carbon.services.jobs.answers import spec_of
from carbon.services.jobs.attempt_moves import end_attempt, write_down
from carbon.services.jobs.attempt_pauses import may_run, note_pause
from carbon.services.jobs.lanes import Lanes
from carbon.services.jobs.pools import capacity_of
from carbon.services.jobs.requests import RUN_VARIABLE, WORKLOAD_VARIABLE
from carbon.storage.attempts import (
    AttemptRow,
    attempts_of,
    engines_of_live,
    live_attempts,
    note_subjects,
    set_attempt,
    subjects_of_attempt,
    write_outbox,
)
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import JobRow, due_jobs, get_job, move
from carbon.storage.leases import Lease, LeaseLost, check_lease
from carbon.storage.pools import all_pools, find_pool, running_in

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """What one leader does while its lease holds. Every call may raise LeaseLost."""

    context: Context
    executors: Executors
    lease: Lease
    lanes: Lanes = field(default_factory=Lanes)

    def hand_over_due(self) -> int:
        """Starts what is due, nearest deadline first, as far as the pools have room."""
        now_ms = self.context.clock.now_ms()
        with reading(self.context.engine) as connection:
            running = running_in(connection)
            full = {
                pool.id
                for pool in all_pools(connection)
                if running[pool.id] >= capacity_of(pool, self.executors)
            }
            due = due_jobs(connection, now_ms, full)
        count = 0
        for job in due:
            if job.pool_id not in full:
                attempt = self._to_outbox(job)
                if attempt is None:
                    full.add(job.pool_id)
                else:
                    self._in_lane(job.executor, attempt)
                    count += 1
        self.lanes.settle()
        return count

    def poll(self) -> int:
        """Looks at every live attempt and writes down what has changed; answers how many."""
        with reading(self.context.engine) as connection:
            live = live_attempts(connection)
            engines = engines_of_live(connection)
        for attempt in live:
            self._in_lane(engines.get(attempt.id, ""), attempt)
        self.lanes.settle()
        return len(live)

    def _in_lane(self, engine: str, attempt: AttemptRow) -> None:
        self.lanes.run(engine, attempt.id, partial(self._guarded, attempt))

    def _to_outbox(self, job: JobRow) -> AttemptRow | None:
        """None where the pool turned out to be full, or the job to wait no more."""
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            pool = find_pool(connection, job.pool)
            if pool is None:
                return None
            if running_in(connection)[pool.id] >= capacity_of(pool, self.executors):
                return None
            try:
                move(connection, job.id, JobState.WAITING, JobState.STARTING)
            except Conflicting:
                return None
            write_outbox(connection, job.id, self.lease.epoch, self.context.clock.now_ms())
            return attempts_of(connection, job.id)[-1]

    def _guarded(self, attempt: AttemptRow) -> None:
        """One attempt's trouble must not stop the others."""
        try:
            self._advance(attempt)
        except LeaseLost:
            raise
        except CarbonError as error:
            _log.warning("attempt %s: %s", attempt.id, error.detail)
            self._note_trouble(attempt, error.detail)
        except Exception as error:  # whatever an executor raises: the other jobs go on
            _log.exception("attempt %s", attempt.id)
            self._note_trouble(attempt, f"{type(error).__name__}: {error}")

    def _advance(self, attempt: AttemptRow) -> None:
        with reading(self.context.engine) as connection:
            job = get_job(connection, attempt.job_id)
        executor = executor_named(self.executors, job.executor)
        handle = Handle(attempt.id, attempt.external_id)
        if job.state.is_final:
            executor.cancel(handle)
        look = executor.look(handle)
        if look.state is LookState.ABSENT and not job.state.is_final:
            handle = self._hand_over(executor, job, attempt)
            look = executor.look(handle)
        self._write_down(attempt, look)
        if look.state in (LookState.RUNNING, LookState.PAUSED) and not job.state.is_final:
            self._follow_segments(executor, handle, attempt.job_id, look)

    def _follow_segments(self, executor: Executor, handle: Handle, job_id: str, look: Look) -> None:
        """Pauses and resumes an attempt as its plan says; the guard outweighs the plan."""
        if not isinstance(executor, Pausing):
            return
        now_ms = self.context.clock.now_ms()
        with reading(self.context.engine) as connection:
            job = get_job(connection, job_id)
        is_paused = look.state is LookState.PAUSED
        if is_paused and may_run(job, now_ms):
            executor.resume(handle)
        elif not is_paused and not may_run(job, now_ms):
            executor.pause(handle)
        elif is_paused == (job.state is JobState.PAUSED):
            return
        after = executor.look(handle)
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            note_pause(connection, get_job(connection, job_id), after, now_ms)

    def _hand_over(self, executor: Executor, job: JobRow, attempt: AttemptRow) -> Handle:
        spec = spec_of(job)
        own = {RUN_VARIABLE: attempt.id, WORKLOAD_VARIABLE: str(job.workload)}
        external_id = executor.start(
            AttemptSpec(
                attempt.id,
                tuple(spec.command),
                spec.cwd,
                {**spec.env, **own},
                spec.spec,
                spec.checkpoint,
            )
        )
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            set_attempt(connection, attempt.id, external_id=external_id, detail="")
        return Handle(attempt.id, external_id)

    def _note_trouble(self, attempt: AttemptRow, detail: str) -> None:
        """An executor that is away is tried again until the deadline; then the job has failed."""
        now_ms = self.context.clock.now_ms()
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            set_attempt(connection, attempt.id, detail=detail)
            job = get_job(connection, attempt.job_id)
            if job.state is JobState.STARTING and now_ms > job.deadline_ms:
                end_attempt(connection, attempt, AttemptState.LOST, Look(LookState.LOST))
                move(connection, job.id, job.state, JobState.FAILED, end_ms=now_ms)

    def _write_down(self, attempt: AttemptRow, look: Look) -> None:
        if look.state in (LookState.ABSENT, LookState.PENDING):
            return
        self._note_subjects(attempt, look)
        has_begun = look.state in (LookState.RUNNING, LookState.PAUSED)
        if has_begun and attempt.state is AttemptState.RUNNING:
            return
        with writing(self.context.engine) as connection:
            check_lease(connection, self.lease)
            write_down(self.context, connection, attempt, look)

    def _note_subjects(self, attempt: AttemptRow, look: Look) -> None:
        """While the engine knows them: it forgets a task, and a pod, soon after its end."""
        if not look.subjects:
            return
        seen = {SubjectRef.parse(text) for text in look.subjects}
        with reading(self.context.engine) as connection:
            new = seen - subjects_of_attempt(connection, attempt.id)
        if new:
            with writing(self.context.engine) as connection:
                check_lease(connection, self.lease)
                note_subjects(connection, attempt.id, sorted(new, key=str))
