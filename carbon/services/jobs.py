"""Jobs as their owners see them: submit, look, change, cancel, start now."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from carbon.domain.intensity import RatedPoint
from carbon.domain.jobs import JobState, PlacementReason
from carbon.domain.principal import Principal
from carbon.errors import CarbonError, Conflicting, InvalidInput
from carbon.executors.executor import Handle
from carbon.executors.registry import Executors, executor_named
from carbon.services.context import Context
from carbon.services.job_answers import attempt_answer, job_answer, moment
from carbon.services.job_plans import Wish, decide, points_until, zone_of
from carbon.services.job_requests import (
    JobRequest,
    check_window,
    hash_of,
    judged,
    workload_of,
)
from carbon.services.pools import capacity_of, pool_for, taken_spans
from carbon.storage.attempts import attempts_of
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.storage.job_queries import (
    JobRow,
    finished_lengths_ms,
    get_job,
    insert_job,
    job_of_key,
    move,
    page_of_jobs,
    place,
    set_deadline,
)
from carbon.storage.pools import find_pool
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
        known = self._of_key(principal, body, key)
        if known is not None:
            return self._answer(known)
        request = judged(self.context, self.executors, principal, body)
        zone = zone_of(self.context, request.zones)
        points = points_until(self.context, zone, request.deadline_ms)
        try:
            with writing(self.context.engine) as connection:
                row = self._store(connection, request, zone, points, key)
        except IntegrityError:
            # The same key arrived twice at once; the other one was first.
            raced = self._of_key(principal, body, key)
            if raced is None:
                raise
            row = raced
        return self._answer(row)

    def submit_batch(
        self, principal: Principal, batch: JobBatch, key: str | None = None
    ) -> JobBatchAnswer:
        """Each job as `submit` would; one that is refused does not sink the others."""
        jobs, rejected = [], []
        for index, body in enumerate(batch.jobs):
            try:
                jobs.append(self.submit(principal, body, f"{key}#{index}" if key else None))
            except CarbonError as error:
                rejected.append(JobRejection(index, error.code, error.detail))
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
        """Another deadline, for a job that still waits; it is placed anew."""
        now_ms = self.context.clock.now_ms()
        row = self._row(principal, job_id)
        deadline_ms = resolve_moment_ms(change.deadline, now_ms)
        check_window(now_ms, max(now_ms, row.earliest_ms), deadline_ms, row.length_ms)
        changed = replace(row, deadline_ms=deadline_ms)
        zone = row.placement.zone if row.placement else zone_of(self.context, row.zones)
        points = points_until(self.context, zone, deadline_ms)
        with writing(self.context.engine) as connection:
            _check_waiting(get_job(connection, job_id))
            set_deadline(connection, job_id, deadline_ms)
            self._place(connection, changed, zone, points)
            return self._answer(get_job(connection, job_id))

    def start(self, principal: Principal, job_id: str) -> JobAnswer:
        """Now, whatever the plan says. A job that has begun already stays as it is."""
        now_ms = self.context.clock.now_ms()
        self._row(principal, job_id)
        with writing(self.context.engine) as connection:
            row = get_job(connection, job_id)
            if row.state in (JobState.STARTING, JobState.RUNNING):
                return self._answer(row)
            _check_waiting(row)
            if row.placement is not None:
                length_ms = row.placement.end_ms - row.placement.start_ms
                decision = replace(
                    row.placement,
                    start_ms=now_ms,
                    end_ms=now_ms + length_ms,
                    expected_g=row.placement.start_now_g,
                    reason=PlacementReason.ASKED_TO_START,
                    decided_ms=now_ms,
                )
                place(connection, job_id, decision)
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

    def _of_key(self, principal: Principal, body: JobBody, key: str | None) -> JobRow | None:
        if key is None:
            return None
        team = workload_of(principal, body).team
        with writing(self.context.engine) as connection:
            team_id = Identities(connection, self.context.clock.now_ms(), {}).team(team)
            row = job_of_key(connection, team_id, key)
        if row is not None and row.body_hash != hash_of(body):
            raise Conflicting(
                "idempotency_key_reused",
                f"the key {key!r} belongs to job {row.id} with another body; use a new key",
            )
        return row

    def _store(
        self,
        connection: Connection,
        request: JobRequest,
        zone: str,
        points: Sequence[RatedPoint],
        key: str | None,
    ) -> JobRow:
        now_ms = self.context.clock.now_ms()
        ids = Identities(connection, now_ms, {})
        team_id = ids.team(request.workload.team)
        pool = pool_for(connection, request.pool, request.pool_is_named, now_ms)
        length_ms, spec = request.length_ms, request.spec
        if length_ms is None:
            lengths = finished_lengths_ms(connection, team_id, request.name)
            if lengths:
                # The longest of the last runs: a plan must be safe, not likely.
                length_ms = max(1, *lengths)
                spec = msgspec.structs.replace(spec, flags=["length_learned"])
        row = JobRow(
            id=f"job_{now_ms:011x}{secrets.token_hex(5)}",
            team_id=team_id,
            workload_id=ids.workload(request.workload),
            workload=request.workload,
            pool_id=pool.id,
            pool=pool.name,
            name=request.name,
            executor=request.executor,
            spec=msgspec.json.encode(spec).decode(),
            state=JobState.WAITING,
            reason="",
            earliest_ms=request.earliest_ms,
            deadline_ms=request.deadline_ms,
            length_ms=length_ms,
            power_w=request.power_w,
            interruptible=request.interruptible,
            priority=request.priority,
            retries_left=request.retries,
            zones=request.zones,
            start_ms=None,
            end_ms=None,
            exit_code=None,
            body_hash=request.body_hash,
            created_ms=now_ms,
            placement=None,
        )
        insert_job(connection, row, key)
        self._place(connection, row, zone, points)
        return get_job(connection, row.id)

    def _place(
        self, connection: Connection, row: JobRow, zone: str, points: Sequence[RatedPoint]
    ) -> None:
        pool = find_pool(connection, row.pool)
        assert pool is not None
        taken = taken_spans(connection, pool, capacity_of(pool, self.executors), row.id)
        wish = Wish(row.earliest_ms, row.deadline_ms, row.length_ms, row.power_w)
        place(connection, row.id, decide(wish, zone, points, taken, self.context.clock.now_ms()))


def _check_waiting(row: JobRow) -> None:
    if row.state is not JobState.WAITING:
        raise Conflicting("job_state", f"job {row.id} is {row.state} and waits no more")


def _states(names: Collection[str]) -> list[JobState]:
    try:
        return [JobState(name) for name in names]
    except ValueError as error:
        known = ", ".join(JobState)
        raise InvalidInput("unknown_state", f"{error}; known: {known}") from None


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    created, _, job_id = text.partition(".")
    if not created.isdecimal() or not job_id:
        raise InvalidInput("invalid_cursor", "send `after` as the page before gave it in `next`")
    return int(created), job_id
