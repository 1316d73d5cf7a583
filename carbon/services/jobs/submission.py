"""A new job: judged, placed and stored, once a key."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
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
from carbon.planning.likely_lengths import representative
from carbon.services.context import Context
from carbon.services.jobs.plan_inputs import Wish
from carbon.services.jobs.plan_points import points_until
from carbon.services.jobs.plan_records import inputs_for, planned_and_kept, taken_of
from carbon.services.jobs.plans import zone_of
from carbon.services.jobs.pools import pool_for
from carbon.services.jobs.requests import JobRequest, JobSpec, hash_of, judged, workload_of
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.storage.job_history import Kind, NameHistory, histories
from carbon.storage.job_queries import (
    NO_HINTS,
    Hints,
    JobRow,
    KeyTaken,
    NewJob,
    PlacementRow,
    insert_jobs,
    jobs_of_keys,
    place,
)
from carbon.storage.pools import PoolRow, find_pool
from carbon.wire.jobs import JobBody

#: Random bytes of a job's id.
_DRAWN: Final = 5
#: A stored job, or why there is none.
Outcome = JobRow | CarbonError


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
    except (IntegrityError, KeyTaken):
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
    now_ms = context.clock.now_ms()  # one for all: they are told the same moments
    for index, body in enumerate(bodies):
        try:
            row = known.get(keys[index] or "")
            if row is not None:
                outcomes[index] = _same(row, body, keys[index])
            else:
                requests[index] = judged(context, executors, principal, body, now_ms)
                zones(requests[index].zones)
        except CarbonError as error:
            requests.pop(index, None)
            outcomes[index] = error
    outcomes |= _placed_and_stored(context, executors, requests, zones, keys)
    return [outcomes[index] for index in range(len(bodies))]


def submit_for_nothing(
    context: Context, executors: Executors, principal: Principal, body: JobBody
) -> None:
    """All that `submit` does but for the commit."""
    request = judged(context, executors, principal, body, context.clock.now_ms())
    zones = cache(lambda stated: zone_of(context, stated))
    with suppress(_ForNothing):
        _placed_and_stored(context, executors, {0: request}, zones, ["rehearsal"], is_meant=False)


class _ForNothing(Exception):
    """Rolls a transaction back that has gone well."""


def _placed_and_stored(
    context: Context,
    executors: Executors,
    requests: Mapping[int, JobRequest],
    zones: Callable[[tuple[str, ...]], str],
    keys: Sequence[str | None],
    is_meant: bool = True,
) -> dict[int, Outcome]:
    outcomes: dict[int, Outcome] = {}
    until_ms: dict[str, int] = {}
    for request in requests.values():
        zone = zones(request.zones)
        until_ms[zone] = max(until_ms.get(zone, 0), request.deadline_ms)
    points = {zone: points_until(context, zone, end_ms) for zone, end_ms in until_ms.items()}
    with writing(context.engine) as connection:
        newcomers = Newcomers(connection, context.clock.now_ms(), requests.values())
        rows: dict[int, JobRow] = {}
        for index, request in requests.items():
            try:
                rows[index] = newcomers.row(request)
            except CarbonError as error:
                outcomes[index] = error
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, row in rows.items():
            groups[row.pool, zones(row.zones)].append(index)
        placed: dict[int, PlacementRow] = {}
        for (name, zone), some in groups.items():
            pool, wanted = newcomers.pools[name], [rows[i] for i in some]
            decided = placements_of(
                context, executors, connection, pool, wanted, zone, points[zone]
            )
            placed |= zip(some, decided, strict=True)
        stored = insert_jobs(
            connection, [NewJob(row, placed[index], keys[index]) for index, row in rows.items()]
        )
        outcomes |= dict(zip(rows, stored, strict=True))
        if not is_meant:
            raise _ForNothing
    return outcomes


def place_anew(
    context: Context,
    executors: Executors,
    connection: Connection,
    row: JobRow,
    zone: str,
    points: Sequence[RatedPoint],
) -> None:
    """Puts a new placement of a stored job in force, beside the others of its pool."""
    pool = find_pool(connection, row.pool)
    assert pool is not None  # a job's pool is never removed
    decided = placements_of(context, executors, connection, pool, [row], zone, points, row.id)
    place(connection, [(row.id, decided[0])])


def placements_of(
    context: Context,
    executors: Executors,
    connection: Connection,
    pool: PoolRow,
    rows: Sequence[JobRow],
    zone: str,
    points: Sequence[RatedPoint],
    but_for: str | None = None,
) -> list[PlacementRow]:
    """Of jobs of one pool, beside what it holds but for one of them; in the order given."""
    inputs = inputs_for(
        context,
        executors,
        connection,
        pool,
        zone,
        points,
        [Wish.of(row) for row in rows],
        taken_of(connection, pool, but_for),
    )
    return planned_and_kept(connection, pool, inputs)


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

    def __init__(
        self, connection: Connection, now_ms: int, requests: Collection[JobRequest]
    ) -> None:
        self._connection, self._now_ms = connection, now_ms
        ids = Identities(connection, now_ms, {})
        ids.look_up({request.workload for request in requests})
        #: Those that the jobs have named so far.
        self.pools: dict[str, PoolRow] = {}
        self._job_ids = _new_ids(now_ms, len(requests))
        self._team, self._workload = cache(ids.team), cache(ids.workload)
        kinds: dict[str, set[Kind]] = defaultdict(set)
        for request in requests:
            kinds[request.workload.team].add((request.name, request.job_class))
        self._histories = {
            team: histories(connection, self._team(team), some) for team, some in kinds.items()
        }

    def row(self, request: JobRequest) -> JobRow:
        """Not stored yet. Raises InvalidInput(`unknown_pool`)."""
        pool = self._pool(request)
        history = self._histories[request.workload.team].get((request.name, request.job_class))
        length_ms, power_w, hints, spec = _learned(request, history)
        return JobRow(
            id=next(self._job_ids),
            team_id=self._team(request.workload.team),
            workload_id=self._workload(request.workload),
            workload=request.workload,
            pool_id=pool.id,
            pool=pool.name,
            name=request.name,
            executor=request.executor,
            job_class=request.job_class,
            spec=msgspec.json.encode(spec).decode(),
            state=JobState.WAITING,
            reason="",
            earliest_ms=request.earliest_ms,
            deadline_ms=request.deadline_ms,
            length_ms=length_ms,
            power_w=power_w,
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
            hints=None if hints == NO_HINTS else msgspec.json.encode(hints).decode(),
        )

    def _pool(self, request: JobRequest) -> PoolRow:
        name = request.pool
        if name not in self.pools:
            found = pool_for(self._connection, name, request.pool_is_named, self._now_ms)
            self.pools[name] = found
        return self.pools[name]


def _new_ids(now_ms: int, count: int) -> Iterator[str]:
    """Ids of new jobs, in the order of their time; drawn together, since the system takes as long
    for one as for all."""
    drawn = secrets.token_hex(_DRAWN * count)
    width = 2 * _DRAWN
    return (f"job_{now_ms:011x}{drawn[at : at + width]}" for at in range(0, width * count, width))


def _learned(
    request: JobRequest, history: NameHistory | None
) -> tuple[int | None, float | None, Hints, JobSpec]:
    """Length to be safe for, power, and what plans are made with, from what that kind's runs
    took and drew.

    A stated length is a hint: one more run, which few others do not outweigh. A stated power is
    kept as it is: nothing is missed if it is wrong.
    """
    hints, spec, power_w = request.pauses, request.spec, request.power_w
    flags: list[str] = []
    if history is None:
        return request.length_ms, power_w, hints, spec
    if power_w is None and history.power_w:
        power_w = sum(history.power_w) / len(history.power_w)
        flags.append("power_learned")
    length_ms = request.length_ms
    if history.lengths_ms:
        told = [request.length_ms] if request.length_ms is not None else []
        length_ms = safe_length_ms([*history.lengths_ms, *told])
        likely = representative([min(n, length_ms) for n in (*history.lengths_ms, *told)])
        if len(set(likely)) > 1:
            hints = msgspec.structs.replace(hints, lengths_ms=likely)
    if length_ms != request.length_ms:
        flags.append("length_learned")
    return length_ms, power_w, hints, msgspec.structs.replace(spec, flags=flags)


def safe_length_ms(lengths_ms: Sequence[int]) -> int:
    """The least of them that 95 % do not exceed; of fewer than 20 the longest."""
    ordered = sorted(lengths_ms)
    return max(1, ordered[-(-len(ordered) * 95 // 100) - 1])
