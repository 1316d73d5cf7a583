"""A new job: judged, placed and stored, once a key."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Final

import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from carbon.domain.intensity import RatedPoint
from carbon.domain.jobs import JobState
from carbon.domain.principal import Principal
from carbon.errors import CarbonError, Conflicting
from carbon.executors.registry import Executors
from carbon.services.context import Context
from carbon.services.group_plans import decide_group, in_turns
from carbon.services.job_plans import Wish, decide, full_spans, points_until, unmoved, zone_of
from carbon.services.job_requests import JobRequest, JobSpec, hash_of, judged, workload_of
from carbon.services.pools import capacity_of, pool_for
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.storage.job_queries import (
    JobRow,
    PlacementRow,
    finished_lengths_ms,
    insert_jobs,
    jobs_of_keys,
    place,
)
from carbon.storage.pools import find_pool, planned_spans
from carbon.storage.scheduler_pauses import current_pause
from carbon.wire.jobs import JobBody

#: A stored job, or why there is none.
Outcome = JobRow | CarbonError
#: So few are placed exactly, one after the other; more of them together.
_ONE_BY_ONE: Final = 16


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
    outcome = submit_all(context, executors, principal, [body], [key])[0]
    if isinstance(outcome, CarbonError):
        raise outcome
    return outcome


def submit_all(
    context: Context,
    executors: Executors,
    principal: Principal,
    bodies: Sequence[JobBody],
    keys: Sequence[str | None],
) -> list[Outcome]:
    """Each as `submit` would, with the error in the place of the job it refuses. What is taken
    is planned together and stored in one transaction."""
    try:
        return _submit_all(context, executors, principal, bodies, keys)
    except IntegrityError:
        # A key arrived twice at once, and the other one was first: now it is known.
        return _submit_all(context, executors, principal, bodies, keys)


def _submit_all(
    context: Context,
    executors: Executors,
    principal: Principal,
    bodies: Sequence[JobBody],
    keys: Sequence[str | None],
) -> list[Outcome]:
    outcomes: dict[int, Outcome] = {}
    requests: dict[int, JobRequest] = {}
    zones = cache(lambda stated: zone_of(context, stated))
    known = _known_jobs(context, principal, bodies, keys)
    for index, body in enumerate(bodies):
        try:
            row = known.get(keys[index] or "")
            if row is not None:
                outcomes[index] = _same(row, body, keys[index])
            else:
                requests[index] = judged(context, executors, principal, body)
                zones(requests[index].zones)
        except CarbonError as error:
            requests.pop(index, None)
            outcomes[index] = error
    until_ms: dict[str, int] = {}
    for request in requests.values():
        zone = zones(request.zones)
        until_ms[zone] = max(until_ms.get(zone, 0), request.deadline_ms)
    points = {zone: points_until(context, zone, end_ms) for zone, end_ms in until_ms.items()}
    with writing(context.engine) as connection:
        newcomers = Newcomers(connection, context.clock.now_ms())
        rows: dict[int, JobRow] = {}
        for index, request in requests.items():
            try:
                rows[index] = newcomers.row(request)
            except CarbonError as error:
                outcomes[index] = error
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, row in rows.items():
            groups[row.pool, zones(row.zones)].append(index)
        for (_, zone), some in groups.items():
            placed = placements_of(
                context, executors, connection, [rows[i] for i in some], zone, points[zone]
            )
            for index, decision in zip(some, placed, strict=True):
                made = replace(rows[index], placement=decision, reason=str(decision.reason))
                outcomes[index] = made
        stored = [(row, keys[i]) for i, row in outcomes.items() if i in rows]
        insert_jobs(connection, [(row, key) for row, key in stored if isinstance(row, JobRow)])
    return [outcomes[index] for index in range(len(bodies))]


def place_anew(
    context: Context,
    executors: Executors,
    connection: Connection,
    row: JobRow,
    zone: str,
    points: Sequence[RatedPoint],
) -> None:
    """Puts a new placement of a stored job in force, beside the others of its pool."""
    decided = placements_of(context, executors, connection, [row], zone, points)
    place(connection, [(row.id, decided[0])])


def placements_of(
    context: Context,
    executors: Executors,
    connection: Connection,
    rows: Sequence[JobRow],
    zone: str,
    points: Sequence[RatedPoint],
) -> list[PlacementRow]:
    """Of jobs of one pool, beside what it holds; in the order given."""
    pool = find_pool(connection, rows[0].pool)
    assert pool is not None  # a job's pool is never removed
    capacity, now_ms = capacity_of(pool, executors), context.clock.now_ms()
    but_for = rows[0].id if len(rows) == 1 else None
    spans = planned_spans(connection, pool.id, but_for)
    if len(rows) <= _ONE_BY_ONE:
        made = []
        for row in rows:
            made.append(decide(Wish.of(row), zone, points, full_spans(spans, capacity), now_ms))
            spans.append((made[-1].start_ms, made[-1].end_ms))
    else:
        order = in_turns(rows)
        wishes = [Wish.of(row) for row in order]
        decided = decide_group(wishes, zone, points, spans, capacity, now_ms)
        by_id = {row.id: decision for row, decision in zip(order, decided, strict=True)}
        made = [by_id[row.id] for row in rows]
    if current_pause(connection) is None:
        return made
    return [unmoved(d, row.earliest_ms) for d, row in zip(made, rows, strict=True)]


def _known_jobs(
    context: Context,
    principal: Principal,
    bodies: Sequence[JobBody],
    keys: Sequence[str | None],
) -> dict[str, JobRow]:
    """The jobs that the keys have made, by key."""
    by_team: dict[str, list[str]] = defaultdict(list)
    for body, key in zip(bodies, keys, strict=True):
        if key is not None:
            with suppress(CarbonError):  # said where the body is judged
                by_team[workload_of(principal, body).team].append(key)
    known: dict[str, JobRow] = {}
    for team, some in by_team.items():
        with reading(context.engine) as connection:
            known |= jobs_of_keys(connection, team, some)
    return known


def _same(row: JobRow, body: JobBody, key: str | None) -> JobRow:
    if row.body_hash != hash_of(body):
        raise Conflicting(
            "idempotency_key_reused",
            f"the key {key!r} belongs to job {row.id} with another body; use a new key",
        )
    return row


class Newcomers:
    """Rows of new jobs; what jobs of one sending share is looked up once."""

    def __init__(self, connection: Connection, now_ms: int) -> None:
        self._connection, self._now_ms = connection, now_ms
        self._ids = Identities(connection, now_ms, {})
        self._pool = cache(lambda name, named: pool_for(connection, name, named, now_ms))
        self._lengths = cache(lambda team_id, name: finished_lengths_ms(connection, team_id, name))

    def row(self, request: JobRequest) -> JobRow:
        """Not stored yet. Raises InvalidInput(`unknown_pool`)."""
        pool = self._pool(request.pool, request.pool_is_named)
        team_id = self._ids.team(request.workload.team)
        length_ms, spec = self._with_length(team_id, request)
        return JobRow(
            id=f"job_{self._now_ms:011x}{secrets.token_hex(5)}",
            team_id=team_id,
            workload_id=self._ids.workload(request.workload),
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
            created_ms=self._now_ms,
            placement=None,
        )

    def _with_length(self, team_id: int, request: JobRequest) -> tuple[int | None, JobSpec]:
        """The length to be safe for: the 95th percentile of what that name's runs took, the
        stated one among them as if it were one more: a hint, which few runs do not outweigh."""
        lengths = self._lengths(team_id, request.name)
        if not lengths:
            return request.length_ms, request.spec
        told = [request.length_ms] if request.length_ms is not None else []
        safe_ms = safe_length_ms([*lengths, *told])
        if safe_ms == request.length_ms:
            return safe_ms, request.spec
        return safe_ms, msgspec.structs.replace(request.spec, flags=["length_learned"])


def safe_length_ms(lengths_ms: Sequence[int]) -> int:
    """The least of them that 95 % do not exceed; of fewer than 20 the longest."""
    ordered = sorted(lengths_ms)
    return max(1, ordered[-(-len(ordered) * 95 // 100) - 1])
