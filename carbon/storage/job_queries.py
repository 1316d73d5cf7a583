"""Jobs as the scheduler reads and writes them, each with the placement in force."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

import msgspec
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    bindparam,
    select,
    tuple_,
    update,
)

from carbon.domain.jobs import JobState, PlacementReason, check_move
from carbon.domain.tenancy import WorkloadName
from carbon.errors import Conflicting, NotFound
from carbon.storage.bulk import insert_rows, insert_rows_of
from carbon.storage.engine import execute, is_sqlite
from carbon.storage.jobs import job, placement, pool
from carbon.storage.names import team, workload

#: (start_ms, end_ms)
Span = tuple[int, int]


# Of jobs there are thousands at once, and none leads back to itself: `gc=False` spares Python's
# collector from walking through them.


class Hints(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the planner knows of a job beyond one length."""

    #: What runs of that name took: equally likely lengths, ascending.
    lengths_ms: tuple[int, ...] = ()
    min_segment_ms: int = 0
    max_pauses: int | None = None
    #: Energy to save and restore at a pause, as time of running.
    checkpoint_ms: int = 0


NO_HINTS: Final = Hints()
_hints_of = lru_cache(4096)(msgspec.json.Decoder(Hints).decode)


def hints_of(text: str | None) -> Hints:
    """Few texts occur, each of them often."""
    return NO_HINTS if text is None else _hints_of(text)


#: As plain text: to compile it took longer than to run it, with every job that comes.
_LAST_PLACEMENT: Final = "SELECT max(id) FROM placement"
_NEXT_PLACEMENTS: Final = (
    "SELECT array_agg(nextval(pg_get_serial_sequence('placement', 'id'))) "
    "FROM generate_series(1, %s)"
)
#: A statement of SQLite takes some thousand values.
_NAMED_AT_ONCE: Final = 500


class PlacementRow(msgspec.Struct, frozen=True, gc=False):
    """A decision: when and where a job is to run."""

    start_ms: int
    #: Equals the start where the length is not known.
    end_ms: int
    latest_start_ms: int
    zone: str
    expected_g: float | None
    start_now_g: float | None
    reason: PlacementReason
    decided_ms: int
    vintages: tuple[int, ...] = ()
    #: Where it runs if it pauses in between; empty for a job in one piece.
    segments: tuple[Span, ...] = ()
    #: The plan that it is part of.
    plan_id: int | None = None
    #: None until it is stored.
    id: int | None = None


class JobRow(msgspec.Struct, frozen=True, gc=False):
    id: str
    team_id: int
    workload_id: int
    workload: WorkloadName
    pool_id: int
    pool: str
    name: str
    executor: str
    spec: str
    state: JobState
    reason: str
    earliest_ms: int
    deadline_ms: int
    length_ms: int | None
    power_w: float | None
    interruptible: bool
    priority: int
    retries_left: int
    zones: tuple[str, ...]
    start_ms: int | None
    end_ms: int | None
    exit_code: int | None
    body_hash: str
    created_ms: int
    placement: PlacementRow | None
    hints: str | None = None
    paused_ms: int = 0
    paused_since_ms: int | None = None
    job_class: str = ""


def _jobs() -> Select[Any]:
    return (
        select(
            job,
            team.c.name.label("team"),
            workload.c.name.label("workload"),
            pool.c.name.label("pool"),
            *(column.label(f"placed_{column.name}") for column in placement.c),
        )
        .join(team, team.c.id == job.c.team_id)
        .join(workload, workload.c.id == job.c.workload_id)
        .join(pool, pool.c.id == job.c.pool_id)
        .outerjoin(placement, placement.c.id == job.c.placement_id)
    )


def _job_row(row: Row[Any]) -> JobRow:
    return JobRow(
        id=row.id,
        team_id=row.team_id,
        workload_id=row.workload_id,
        workload=WorkloadName(row.team, row.workload),
        pool_id=row.pool_id,
        pool=row.pool,
        name=row.name,
        executor=row.executor,
        spec=row.spec,
        state=JobState(row.state),
        reason=row.reason,
        earliest_ms=row.earliest_ms,
        deadline_ms=row.deadline_ms,
        length_ms=row.length_ms,
        power_w=row.power_w,
        interruptible=row.interruptible,
        priority=row.priority,
        retries_left=row.retries_left,
        zones=tuple(json.loads(row.zones)),
        start_ms=row.start_ms,
        end_ms=row.end_ms,
        exit_code=row.exit_code,
        body_hash=row.body_hash,
        created_ms=row.created_ms,
        placement=_placement_row(row) if row.placed_start_ms is not None else None,
        hints=row.hints,
        paused_ms=row.paused_ms,
        paused_since_ms=row.paused_since_ms,
        job_class=row.job_class,
    )


def _placement_row(row: Row[Any]) -> PlacementRow:
    return PlacementRow(
        row.placed_start_ms,
        row.placed_end_ms,
        row.placed_latest_start_ms,
        row.placed_zone,
        row.placed_expected_g,
        row.placed_start_now_g,
        PlacementReason(row.placed_reason),
        row.placed_decided_ms,
        tuple(json.loads(row.placed_vintages)),
        segments_of(row.placed_segments),
        row.placed_plan_id,
        row.placed_id,
    )


def segments_of(text: str | None) -> tuple[Span, ...]:
    return () if text is None else msgspec.json.decode(text, type=tuple[Span, ...])


class NewJob(NamedTuple):
    """A job to be stored, where it is placed, and the idempotency key that it came with."""

    row: JobRow
    placement: PlacementRow
    key: str | None = None


def insert_jobs(connection: Connection, jobs: Sequence[NewJob]) -> list[JobRow]:
    """Stores new jobs with their placements, in as many statements for many as for two. Answers
    them as they are stored. Raises KeyTaken where another sending was first."""
    if not jobs:
        return []
    stored, rows, placed = [], [], []
    for number, new in zip(_reserve_ids(connection, len(jobs)), jobs, strict=True):
        decision = replace(new.placement, id=number)
        row = replace(new.row, placement=decision, reason=str(decision.reason))
        stored.append(row)
        rows.append(_job_values(row, decision, new.key))
        placed.append(_placement_values(row.id, decision, number, None))
    try:
        insert_rows_of(connection, [(job, rows), (placement, placed)])
    except Exception as error:  # PostgreSQL's driver raises its own from a COPY
        if "unique" in f"{type(error).__name__} {error}".lower():
            raise KeyTaken("key_taken", "the key was used at the same moment") from error
        raise
    return stored


class KeyTaken(Conflicting):
    """An idempotency key arrived twice at once."""


def _reserve_ids(connection: Connection, count: int) -> list[int]:
    """So many ids of placements that nobody else takes, ascending."""
    if is_sqlite(connection):  # the only writer
        first = (connection.exec_driver_sql(_LAST_PLACEMENT).scalar() or 0) + 1
        return list(range(first, first + count))
    return sorted(execute(connection, _NEXT_PLACEMENTS, [count]).fetchone()[0])


def _job_values(row: JobRow, placed: PlacementRow, idempotency_key: str | None) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return (
        row.id,
        row.team_id,
        row.workload_id,
        row.name,
        row.executor,
        row.pool_id,
        row.spec,
        str(row.state),
        row.reason,
        row.earliest_ms,
        row.deadline_ms,
        row.length_ms,
        row.power_w,
        row.interruptible,
        row.priority,
        row.retries_left,
        _listed(row.zones),
        row.hints,
        placed.id,
        min(placed.start_ms, placed.latest_start_ms),
        placed.start_ms,
        placed.end_ms,
        None,
        None,
        0,
        None,
        None,
        idempotency_key,
        row.body_hash,
        row.created_ms,
        row.job_class,
    )


def place(
    connection: Connection,
    decisions: Sequence[tuple[str, PlacementRow]],
    plan_id: int | None = None,
) -> None:
    """Stores decisions, one a job, and puts them in force; `plan_id` is the plan that they are
    all part of, else each says its own."""
    if not decisions:
        return
    ids = _reserve_ids(connection, len(decisions))
    rows = [
        _placement_values(job_id, decision, number, plan_id)
        for number, (job_id, decision) in zip(ids, decisions, strict=True)
    ]
    insert_rows(connection, placement, rows)
    if is_sqlite(connection):
        execute(connection, f"{_IN_FORCE} BETWEEN ? AND ?", (ids[0], ids[-1])).close()
    else:
        execute(connection, f"{_IN_FORCE} = ANY(%s)", (ids,)).close()


#: As plain text: one statement for each few hundred jobs of a hundred thousand.
_IN_FORCE: Final = """
UPDATE job SET placement_id = p.id, reason = p.reason,
  due_ms = CASE WHEN p.start_ms < p.latest_start_ms THEN p.start_ms ELSE p.latest_start_ms END,
  holds_from_ms = p.start_ms, holds_until_ms = p.end_ms
FROM placement p WHERE job.id = p.job_id AND p.id"""


def _placement_values(
    job_id: str, decision: PlacementRow, number: int | None, plan_id: int | None
) -> tuple[Any, ...]:
    """In the order of the table's columns."""
    return (
        number,
        job_id,
        decision.decided_ms,
        decision.start_ms,
        decision.end_ms,
        decision.latest_start_ms,
        decision.zone,
        decision.expected_g,
        decision.start_now_g,
        decision.reason.value,
        _listed(decision.vintages),
        msgspec.json.encode(decision.segments).decode() if decision.segments else None,
        decision.plan_id if plan_id is None else plan_id,
    )


@lru_cache(256)
def _listed(some: tuple[int | str, ...]) -> str:
    """As JSON; few lists occur, each of them often."""
    return json.dumps(some)


def move(
    connection: Connection, job_id: str, before: JobState, after: JobState, **values: Any
) -> None:
    """Moves a job to another state and sets further columns with it.

    Raises Conflicting(`job_state`) where there is no such move, or where the job has moved
    meanwhile.
    """
    check_move(job_id, before, after)
    moved = connection.execute(
        update(job)
        .where(job.c.id == job_id, job.c.state == str(before))
        .values(state=str(after), **values)
    )
    if not moved.rowcount:
        raise Conflicting("job_state", f"job {job_id} is no longer {before}")


def set_deadline(connection: Connection, job_id: str, deadline_ms: int) -> None:
    connection.execute(update(job).where(job.c.id == job_id).values(deadline_ms=deadline_ms))


def get_job(connection: Connection, job_id: str, team_name: str | None = None) -> JobRow:
    """Of one team, or of any. Raises NotFound(`unknown_job`)."""
    query = _jobs().where(job.c.id == job_id)
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("unknown_job", f"no job {job_id!r}")
    return _job_row(row)


def page_of_jobs(
    connection: Connection,
    team_name: str | None,
    states: Collection[JobState],
    limit: int,
    after: tuple[int, str] | None,
) -> list[JobRow]:
    """Newest first; `after` is (created_ms, id) of the last one of the page before.

    Each state gives its own newest by its index, and the newest of these are the page: asked for
    several at once, all that wait would be sorted."""
    told: dict[str, Any] = {"limit": limit}
    if team_name is not None:
        told["team_id"] = connection.scalar(select(team.c.id).where(team.c.name == team_name))
    if after is not None:
        told["after_ms"], told["after_id"] = after
    query = _newest("team_id" in told, after is not None)
    found = [
        (row.created_ms, row.id)
        for state in states or JobState
        for row in connection.execute(query, {**told, "state": str(state)})
    ]
    shown = [job_id for _, job_id in heapq.nlargest(limit, found)]
    rows = {row.id: row for row in jobs_of_ids(connection, shown)}
    return [rows[job_id] for job_id in shown]


@cache
def _newest(of_team: bool, is_later_page: bool) -> Select[Any]:
    c = job.c
    query = select(c.created_ms, c.id).where(c.state == bindparam("state"))
    if of_team:
        query = query.where(c.team_id == bindparam("team_id"))
    if is_later_page:
        before = tuple_(bindparam("after_ms"), bindparam("after_id"))
        query = query.where(tuple_(c.created_ms, c.id) < before)
    return query.order_by(c.created_ms.desc(), c.id.desc()).limit(bindparam("limit"))


def due_jobs(connection: Connection, now_ms: int, full_pools: Collection[int]) -> list[JobRow]:
    """Waiting jobs whose start has come, or whose latest safe start has: nearest deadline first.

    The latter does not ask what the planner said. Jobs of full pools are left out.
    """
    c = job.c
    query = (
        _jobs()
        .where(c.state == str(JobState.WAITING), c.due_ms <= now_ms, c.pool_id.not_in(full_pools))
        .order_by(c.deadline_ms, c.priority.desc(), c.created_ms, c.id)
    )
    return [_job_row(row) for row in connection.execute(query)]


def jobs_where(
    connection: Connection, *conditions: ColumnElement[bool], limit: int
) -> list[JobRow]:
    """Of `job` and its `placement` in force, in order of deadline."""
    query = _jobs().where(*conditions).order_by(job.c.deadline_ms, job.c.id).limit(limit)
    return [_job_row(row) for row in connection.execute(query)]


def jobs_of_ids(connection: Connection, ids: Collection[str]) -> list[JobRow]:
    """Those that there are."""
    some, rows = list(ids), []
    for first in range(0, len(some), _NAMED_AT_ONCE):
        query = _jobs().where(job.c.id.in_(some[first : first + _NAMED_AT_ONCE]))
        rows += [_job_row(row) for row in connection.execute(query)]
    return rows


def jobs_of_executor(connection: Connection, executor: str, state: JobState) -> list[JobRow]:
    """In order of deadline."""
    c = job.c
    query = _jobs().where(c.executor == executor, c.state == str(state))
    return [_job_row(row) for row in connection.execute(query.order_by(c.deadline_ms, c.id))]


def jobs_of_keys(
    connection: Connection, team_name: str, keys: Collection[str]
) -> dict[str, JobRow]:
    """The jobs that those idempotency keys have made, by key."""
    query = _jobs().where(team.c.name == team_name, job.c.idempotency_key.in_(keys))
    return {row.idempotency_key: _job_row(row) for row in connection.execute(query)}


def still_placed(connection: Connection, placements: Mapping[str, int | None]) -> set[str]:
    """Of jobs and the placements they were seen with those that still wait with them."""
    ids = list(placements)
    # Asked by id alone: beside the state SQLite would walk all that wait, for each sending.
    asked = "SELECT id, placement_id, state FROM job WHERE id"
    some: tuple[str, tuple[Any, ...]] = (f"{asked} = ANY(%s)", (ids,))
    if is_sqlite(connection):
        some = f"{asked} IN ({','.join('?' * len(ids))})", tuple(ids)
    return {
        job_id
        for job_id, placed, state in connection.exec_driver_sql(*some).all()
        if state == JobState.WAITING.value and placements[job_id] == placed
    }
