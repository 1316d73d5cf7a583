"""A new job: judged, placed and stored, once a key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from carbon.domain.intensity import RatedPoint
from carbon.domain.jobs import JobState
from carbon.domain.principal import Principal
from carbon.errors import Conflicting
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.job_plans import Wish, decide, points_until, unmoved, zone_of
from carbon.services.job_requests import JobRequest, JobSpec, hash_of, judged, workload_of
from carbon.services.pools import capacity_of, pool_for, taken_spans
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.storage.job_queries import (
    JobRow,
    PlacementRow,
    finished_lengths_ms,
    get_job,
    insert_job,
    job_of_key,
    place,
)
from carbon.storage.pools import find_pool
from carbon.storage.scheduler_pauses import current_pause
from carbon.wire.jobs import JobBody


def submit(
    context: Context,
    executors: Executors,
    principal: Principal,
    body: JobBody,
    key: str | None = None,
) -> JobRow:
    """With an idempotency key the same body gets the job that it made the first time.

    Raises InvalidInput, Forbidden, and Conflicting(`idempotency_key_reused`) for another body.
    """
    known = _job_of_key(context, principal, body, key)
    if known is not None:
        return known
    request = judged(context, executors, principal, body)
    zone = zone_of(context, request.zones)
    points = points_until(context, zone, request.deadline_ms)
    try:
        with writing(context.engine) as connection:
            row = _new_row(context, connection, request)
            insert_job(connection, row, key)
            place_anew(context, executors, connection, row, zone, points)
            return get_job(connection, row.id)
    except IntegrityError:
        # The same key arrived twice at once, and the other one was first.
        first = _job_of_key(context, principal, body, key)
        if first is None:
            raise
        return first


def place_anew(
    context: Context,
    executors: Executors,
    connection: Connection,
    row: JobRow,
    zone: str,
    points: Sequence[RatedPoint],
) -> None:
    """Puts a new placement of a stored job in force, beside the others of its pool."""
    place(connection, row.id, placement_of(context, executors, connection, row, zone, points))


def placement_of(
    context: Context,
    executors: Executors,
    connection: Connection,
    row: JobRow,
    zone: str,
    points: Sequence[RatedPoint],
) -> PlacementRow:
    pool = find_pool(connection, row.pool)
    assert pool is not None  # a job's pool is never removed
    taken = taken_spans(connection, pool, capacity_of(pool, executors), row.id)
    wish = Wish(row.earliest_ms, row.deadline_ms, row.length_ms, row.power_w)
    decision = decide(wish, zone, points, taken, context.clock.now_ms())
    return decision if current_pause(connection) is None else unmoved(decision, row.earliest_ms)


def _job_of_key(
    context: Context, principal: Principal, body: JobBody, key: str | None
) -> JobRow | None:
    if key is None:
        return None
    team = workload_of(principal, body).team
    with reading(context.engine) as connection:
        row = job_of_key(connection, team, key)
    if row is not None and row.body_hash != hash_of(body):
        raise Conflicting(
            "idempotency_key_reused",
            f"the key {key!r} belongs to job {row.id} with another body; use a new key",
        )
    return row


def _new_row(context: Context, connection: Connection, request: JobRequest) -> JobRow:
    now_ms = context.clock.now_ms()
    ids = Identities(connection, now_ms, {})
    team_id = ids.team(request.workload.team)
    pool = pool_for(connection, request.pool, request.pool_is_named, now_ms)
    length_ms, spec = _with_length(connection, team_id, request)
    return JobRow(
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


def _with_length(
    connection: Connection, team_id: int, request: JobRequest
) -> tuple[int | None, JobSpec]:
    """The length stated, else the longest of the last runs: a plan must be safe, not likely."""
    if request.length_ms is not None:
        return request.length_ms, request.spec
    lengths = finished_lengths_ms(connection, team_id, request.name)
    if not lengths:
        return None, request.spec
    spec = msgspec.structs.replace(request.spec, flags=["length_learned"])
    return max(1, *lengths), spec
