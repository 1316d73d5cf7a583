"""What earlier jobs teach: how long those of a kind ran, what they drew, when a pool's came."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, bindparam, case, func, select

from carbon.domain.jobs import JobState
from carbon.domain.tenancy import automatic_name
from carbon.storage.jobs import job, saving
from carbon.storage.names import run, workload

#: (name, class) within a team.
Kind = tuple[str, str]
#: Of each kind the last so many are learned from.
_LAST = 200


@dataclass(slots=True)
class NameHistory:
    lengths_ms: list[int] = field(default_factory=list)
    #: Mean watts of runs whose energy was measured.
    power_w: list[float] = field(default_factory=list)


def histories(
    connection: Connection, team_id: int, kinds: Collection[Kind]
) -> dict[Kind, NameHistory]:
    """Of successful jobs, newest first; of names that never ran here what Slurm brought.

    What another class of that name took says nothing: it ran elsewhere, or on more.
    """
    found: dict[Kind, NameHistory] = defaultdict(NameHistory)
    ran: set[str] = set()
    for name, job_class, length_ms, energy_mj, flags in _finished(connection, team_id, kinds):
        ran.add(name)
        if (name, job_class) not in kinds:
            continue
        of_kind = found[name, job_class]
        of_kind.lengths_ms.append(max(length_ms, 1))
        if energy_mj and "energy_" not in flags:
            of_kind.power_w.append(energy_mj / max(length_ms, 1))
    missing = {name for name, _ in kinds} - ran
    brought: dict[str, list[int]] = defaultdict(list)
    for name, length_ms in _imported(connection, team_id, missing):
        brought[name].append(length_ms)
    for kind in kinds:
        if lengths_ms := brought.get(kind[0]):
            found[kind].lengths_ms.extend(lengths_ms)
    return dict(found)


def _finished(
    connection: Connection, team_id: int, kinds: Collection[Kind]
) -> Iterator[tuple[str, str, int, int | None, str]]:
    told = {"team_id": team_id, "names": sorted({name for name, _ in kinds})}
    for row in connection.execute(_finished_query(), told):
        yield row.name, row.job_class, row.length_ms, row.energy_mj, row.flags


# Statements are built once: on the path of every submission, building one costs more than
# running it.


@cache
def _finished_query() -> Select[Any]:
    c = job.c
    nth = func.row_number().over(partition_by=(c.name, c.job_class), order_by=c.created_ms.desc())
    last = (
        select(
            c.name,
            c.job_class,
            (c.end_ms - c.start_ms - c.paused_ms).label("length_ms"),
            saving.c.energy_mj,
            func.coalesce(saving.c.flags, "").label("flags"),
            nth.label("nth"),
        )
        .outerjoin(saving, saving.c.job_id == c.id)
        .where(c.team_id == bindparam("team_id"), c.name.in_(bindparam("names", expanding=True)))
        .where(c.state == str(JobState.SUCCEEDED))
        .where(c.start_ms.is_not(None), c.end_ms.is_not(None))
        .subquery()
    )
    query = select(last.c.name, last.c.job_class, last.c.length_ms, last.c.energy_mj, last.c.flags)
    return query.where(last.c.nth <= _LAST).order_by(last.c.nth)


def _imported(
    connection: Connection, team_id: int, names: Collection[str]
) -> Iterator[tuple[str, int]]:
    """(name, length_ms); Slurm names a workload as its job is named, or tidied."""
    if not names:
        return
    by_workload = {automatic_name(name): name for name in names} | {name: name for name in names}
    told = {"team_id": team_id, "names": list(by_workload)}
    for row in connection.execute(_imported_query(), told):
        yield by_workload[row.name], row.length_ms


@cache
def _imported_query() -> Select[Any]:
    r, w = run.c, workload.c
    nth = func.row_number().over(partition_by=w.name, order_by=r.start_ms.desc())
    last = (
        select(w.name, (r.end_ms - r.start_ms).label("length_ms"), nth.label("nth"))
        .select_from(run)
        .join(workload, w.id == r.workload_id)
        .where(w.team_id == bindparam("team_id"), w.name.in_(bindparam("names", expanding=True)))
        .where(r.id.contains("/slurm-"))
        .subquery()
    )
    return select(last).where(last.c.nth <= _LAST).order_by(last.c.nth)


#: (created_ms, length_ms, wait_ms)
Arrival = tuple[int, int, int]


def arrivals(
    connection: Connection, pool_id: int, since_ms: int, before_ms: int, limit: int
) -> list[Arrival]:
    """Jobs of known length that came to a pool, oldest first; the newest `limit` of them."""
    c = job.c
    query = (
        select(c.created_ms, c.length_ms, c.deadline_ms - c.earliest_ms - c.length_ms)
        .where(c.pool_id == pool_id, c.created_ms >= since_ms, c.created_ms < before_ms)
        .where(c.length_ms.is_not(None))
        .order_by(c.created_ms.desc())
        .limit(limit)
    )
    return [(row[0], row[1], max(row[2], 0)) for row in connection.execute(query)][::-1]


#: (when it could begin, how long it ran)
Came = tuple[int, int]


def came_before(
    connection: Connection, pool_id: int, job_id: str, at_ms: int, since_ms: int
) -> list[Came]:
    """Jobs of a pool that ran and could have begun before that one, in the order in which they
    could; one that runs still counts with its safe length."""
    c = job.c
    could = case((c.earliest_ms > c.created_ms, c.earliest_ms), else_=c.created_ms)
    ran = func.coalesce(c.end_ms - c.start_ms - c.paused_ms, c.length_ms, 0)
    query = (
        select(could, ran)
        .where(c.pool_id == pool_id, c.id != job_id, c.start_ms.is_not(None))
        .where(could >= since_ms, (could < at_ms) | ((could == at_ms) & (c.id < job_id)))
        .order_by(could, c.id)
    )
    return [(row[0], max(row[1], 0)) for row in connection.execute(query)]
