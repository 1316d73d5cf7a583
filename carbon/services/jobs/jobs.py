"""Jobs as their owners see them: submit, look, change, cancel, start now."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from carbon.domain.jobs import JobState, PlacementReason
from carbon.domain.principal import Principal
from carbon.errors import CarbonError, Conflicting, InvalidInput
from carbon.executors.executor import Handle
from carbon.executors.held_jobs import HoldingExecutor
from carbon.executors.registry import Executors, executor_named
from carbon.services.context import Context
from carbon.services.jobs.answers import attempt_answer, job_answer, moment
from carbon.services.jobs.plan_points import points_until
from carbon.services.jobs.plans import zone_of
from carbon.services.jobs.requests import check_window
from carbon.services.jobs.submission import place_anew, submit, submit_all
from carbon.storage.attempts import attempts_of
from carbon.storage.engine import reading, writing
from carbon.storage.job_queries import (
    JobRow,
    get_job,
    move,
    page_of_jobs,
    place,
    set_deadline,
)
from carbon.wire.durations import resolve_moment_ms
from carbon.wire.jobs import (
    JobAnswer,
    JobBatch,
    JobBatchAnswer,
    JobBody,
    JobChange,
    JobLogs,
    JobPage,
    JobRejection,
    JobResult,
)

MOST_PER_PAGE = 500


@dataclass(frozen=True, slots=True)
class Jobs:
    """The use cases of one deployment; each call is one transaction at most that writes."""

    context: Context
    executors: Executors

    def submit(self, principal: Principal, body: JobBody, key: str | None = None) -> JobAnswer:
        """Places and stores a job. With an idempotency key the same body gets the job that it
        made the first time.

        Raises InvalidInput, and Conflicting(`idempotency_key_reused`) for another body.
        """
        return self._answer(submit(self.context, self.executors, principal, body, key))

    def submit_batch(
        self, principal: Principal, batch: JobBatch, key: str | None = None
    ) -> JobBatchAnswer:
        """Each job as `submit` would; one that is refused does not sink the others."""
        keys = [f"{key}#{index}" if key else None for index in range(len(batch.jobs))]
        jobs, rejected = [], []
        made = submit_all(self.context, self.executors, principal, batch.jobs, keys)
        for index, outcome in enumerate(made):
            if isinstance(outcome, CarbonError):
                rejected.append(JobRejection(index, outcome.code, outcome.detail))
            else:
                jobs.append(self._answer(outcome))
        return JobBatchAnswer(jobs, rejected)

    def get(self, principal: Principal, job_id: str) -> JobAnswer:
        return self._answer(self._row(principal, job_id))

    def page(
        self, principal: Principal, states: Collection[str], limit: int, after: str | None
    ) -> JobPage:
        """Newest first. Raises InvalidInput(`unknown_state`, `invalid_cursor`)."""
        limit = max(1, min(limit, MOST_PER_PAGE))
        team = None if principal.sees_all_teams else principal.team
        with reading(self.context.engine) as connection:
            rows = page_of_jobs(connection, team, _states(states), limit + 1, _cursor(after))
        shown = rows[:limit]
        more = len(rows) > limit
        return JobPage(
            [self._answer(row) for row in shown],
            f"{shown[-1].created_ms}.{shown[-1].id}" if more else None,
        )

    def result(self, principal: Principal, job_id: str) -> JobResult:
        row = self._row(principal, job_id)
        with reading(self.context.engine) as connection:
            attempts = attempts_of(connection, job_id)
        return JobResult(
            row.id,
            str(row.state),
            row.exit_code,
            moment(row.start_ms),
            moment(row.end_ms),
            [attempt_answer(attempt) for attempt in attempts],
        )

    def logs(self, principal: Principal, job_id: str) -> JobLogs:
        """What the last attempt has written so far."""
        row = self._row(principal, job_id)
        with reading(self.context.engine) as connection:
            attempts = attempts_of(connection, job_id)
        if not attempts:
            return JobLogs(row.id, None, "", "")
        last = attempts[-1]
        executor = executor_named(self.executors, row.executor)
        logs = executor.logs(Handle(last.id, last.external_id))
        return JobLogs(row.id, last.id, logs.stdout, logs.stderr)

    def change(self, principal: Principal, job_id: str, change: JobChange) -> JobAnswer:
        """Another deadline, for a job that still waits; it is placed anew.

        Raises Conflicting: `job_state`, and `deadline_elsewhere` for a job that its user holds at
        an engine. That one's word is followed and starts it without us, so that a deadline which
        only we knew would be forgotten, and missed.
        """
        now_ms = self.context.clock.now_ms()
        row = self._row(principal, job_id)
        if isinstance(self.executors.get(row.executor), HoldingExecutor):
            raise Conflicting(
                "deadline_elsewhere",
                f"job {job_id} is its user's own at {row.executor}: change its deadline and start "
                "there, and they are followed here",
            )
        deadline_ms = resolve_moment_ms(change.deadline, now_ms)
        check_window(now_ms, max(now_ms, row.earliest_ms), deadline_ms, row.length_ms)
        changed = replace(row, deadline_ms=deadline_ms)
        zone = row.placement.zone if row.placement else zone_of(self.context, row.zones)
        points = points_until(self.context, zone, deadline_ms)
        with writing(self.context.engine) as connection:
            _check_waiting(get_job(connection, job_id))
            set_deadline(connection, job_id, deadline_ms)
            place_anew(self.context, self.executors, connection, changed, zone, points)
            return self._answer(get_job(connection, job_id))

    def start(self, principal: Principal, job_id: str) -> JobAnswer:
        """Now, whatever the plan says. A job that has begun already stays as it is."""
        now_ms = self.context.clock.now_ms()
        self._row(principal, job_id)
        with writing(self.context.engine) as connection:
            row = get_job(connection, job_id)
            if row.state in (JobState.STARTING, JobState.RUNNING, JobState.PAUSED):
                return self._answer(row)
            _check_waiting(row)
            if row.placement is not None:
                length_ms = row.length_ms or row.placement.end_ms - row.placement.start_ms
                decision = replace(
                    row.placement,
                    start_ms=now_ms,
                    end_ms=now_ms + length_ms,
                    expected_g=row.placement.start_now_g,
                    reason=PlacementReason.ASKED_TO_START,
                    decided_ms=now_ms,
                    segments=(),
                    plan_id=None,
                )
                place(connection, [(job_id, decision)])
            return self._answer(get_job(connection, job_id))

    def cancel(self, principal: Principal, job_id: str) -> JobAnswer:
        """For good; what runs is asked to end. Cancelling twice is once."""
        self._row(principal, job_id)
        with writing(self.context.engine) as connection:
            row = get_job(connection, job_id)
            if row.state is not JobState.CANCELLED:
                now_ms = self.context.clock.now_ms()
                move(connection, job_id, row.state, JobState.CANCELLED, end_ms=now_ms)
            return self._answer(get_job(connection, job_id))

    def _row(self, principal: Principal, job_id: str) -> JobRow:
        team = None if principal.sees_all_teams else principal.team
        with reading(self.context.engine) as connection:
            return get_job(connection, job_id, team)

    def _answer(self, row: JobRow) -> JobAnswer:
        return job_answer(row, self.context.clock.now_ms())


def _check_waiting(row: JobRow) -> None:
    if row.state is not JobState.WAITING:
        raise Conflicting("job_state", f"job {row.id} is {row.state} and waits no more")


def _states(names: Collection[str]) -> list[JobState]:
    known = list(JobState)
    for name in names:
        if name not in known:
            raise InvalidInput("unknown_state", f"no state {name!r}; known: {', '.join(known)}")
    return [JobState(name) for name in names]


#: Of a moment in ms until the year 9998.
_MOST_DIGITS: Final = 15


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    created, _, job_id = text.partition(".")
    if not created.isdecimal() or len(created) > _MOST_DIGITS or not job_id:
        raise InvalidInput("invalid_cursor", "send `after` as the page before gave it in `next`")
    return int(created), job_id
