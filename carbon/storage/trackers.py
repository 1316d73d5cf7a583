"""CodeCarbon's trackers: the projects and experiments that name their work, runs, deltas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    Row,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from carbon.storage.bulk import insert_new_rows, upsert_rows
from carbon.storage.names import host, run, source, team
from carbon.storage.schema import Amount, Id, Ms, metadata

tracker_project = Table(
    "tracker_project",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("created_ms", Ms, nullable=False),
    Index(None, "team_id"),
)

#: Trackers may name experiments that were made elsewhere: an id is known within its team alone.
tracker_experiment = Table(
    "tracker_experiment",
    metadata,
    Column("team_id", ForeignKey("team.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("project_id", ForeignKey("tracker_project.id"), nullable=True),
    Column("name", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON, as the client stated it
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("created_ms", Ms, nullable=False),
    Index(None, "project_id"),
)

tracker_run = Table(
    "tracker_run",
    metadata,
    Column("number", Id, primary_key=True),
    Column("id", Text, nullable=False),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("experiment_id", Text, nullable=False),
    #: The subject's key, `team/run`: also the id in `run`.
    Column("key", Text, nullable=False),
    Column("subject_id", ForeignKey("subject.id"), nullable=False),
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("address", Text, nullable=False),
    #: Of all that tells one machine from another: a tracker sends no host name.
    Column("machine", Text, nullable=False),
    Column("details", Text, nullable=False),  # JSON, as the client stated it
    #: The host that an agent of ours meters, where the tracker runs on one.
    Column("host_id", ForeignKey("host.id"), nullable=True),
    #: The client's clock less ours, as it introduced itself.
    Column("skew_ms", Ms, nullable=False),
    Column("created_ms", Ms, nullable=False),
    UniqueConstraint("id"),
    Index(None, "team_id", "experiment_id", "created_ms"),
)

#: One delta as it was sent; its energy stands in the ledger too.
tracker_emission = Table(
    "tracker_emission",
    metadata,
    Column("run_number", Integer, primary_key=True),
    Column("end_ms", Ms, primary_key=True),
    Column("span_ms", Ms, nullable=False),
    Column("energy_mj", Amount, nullable=False),
    #: What the client itself says that it emitted.
    Column("claimed_ng", Amount, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: From which address the agent of a host sends, or a person says that its trackers do.
host_address = Table(
    "host_address",
    metadata,
    Column("address", Text, primary_key=True),
    Column("host_id", ForeignKey("host.id"), primary_key=True),
    Column("is_declared", Integer, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    sqlite_with_rowid=False,
)


#: (id, subject_id, workload_id, start_ms, end_ms)
RunRow = tuple[str, int, int, int, int]
#: As the columns of `tracker_emission`.
EmissionRow = tuple[int, int, int, int, int, str]


@dataclass(frozen=True, slots=True)
class TrackerRun:
    number: int
    id: str
    team_id: int
    team: str
    experiment_id: str
    workload_id: int
    key: str
    subject_id: int
    source_id: int
    address: str
    machine: str
    details: str
    host: str | None
    skew_ms: int
    created_ms: int
    #: Of its deltas: the last end, how many, and their sums; None and 0 before the first.
    last_end_ms: int | None
    first_start_ms: int | None
    emissions: int
    energy_mj: int
    claimed_ng: int


def _runs() -> Any:
    r, e = tracker_run.c, tracker_emission.c
    sums = (
        select(
            e.run_number,
            func.max(e.end_ms).label("last_end_ms"),
            func.min(e.end_ms - e.span_ms).label("first_start_ms"),
            func.count().label("emissions"),
            func.sum(e.energy_mj).label("energy_mj"),
            func.sum(e.claimed_ng).label("claimed_ng"),
        )
        .group_by(e.run_number)
        .subquery()
    )
    x = tracker_experiment.c
    return (
        select(
            r.number,
            r.id,
            r.team_id,
            team.c.name,
            r.experiment_id,
            x.workload_id,
            r.key,
            r.subject_id,
            r.source_id,
            r.address,
            r.machine,
            r.details,
            host.c.name,
            r.skew_ms,
            r.created_ms,
            sums.c.last_end_ms,
            sums.c.first_start_ms,
            func.coalesce(sums.c.emissions, 0),
            func.coalesce(sums.c.energy_mj, 0),
            func.coalesce(sums.c.claimed_ng, 0),
        )
        .join_from(tracker_run, team, team.c.id == r.team_id)
        .join(tracker_experiment, (x.team_id == r.team_id) & (x.id == r.experiment_id))
        .outerjoin(host, host.c.id == r.host_id)
        .outerjoin(sums, sums.c.run_number == r.number)
    )


def _run(row: Row[Any]) -> TrackerRun:
    run = TrackerRun(*tuple(row))
    # Sums are decimals on PostgreSQL.
    return replace(run, energy_mj=int(run.energy_mj), claimed_ng=int(run.claimed_ng))


def find_run(connection: Connection, run_id: str) -> TrackerRun | None:
    row = connection.execute(_runs().where(tracker_run.c.id == run_id)).one_or_none()
    return _run(row) if row else None


def runs_of(
    connection: Connection,
    team_name: str | None,
    experiment_id: str | None = None,
    project_id: str | None = None,
    limit: int = 1_000,
) -> list[TrackerRun]:
    """The latest first; those that never sent a delta stand aside, since they may be orphans."""
    r, x = tracker_run.c, tracker_experiment.c
    query = _runs().order_by(r.created_ms.desc(), r.number.desc()).limit(limit)
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    if experiment_id is not None:
        query = query.where(r.experiment_id == experiment_id)
    if project_id is not None:
        query = query.where(x.project_id == project_id)
    return [_run(row) for row in connection.execute(query)]


def find_orphan(
    connection: Connection,
    team_id: int,
    experiment_id: str,
    address: str,
    machine: str,
    since_ms: int,
) -> str | None:
    """The id of a run that the same tracker opened just now and has sent nothing for."""
    r = tracker_run.c
    sent = select(tracker_emission.c.run_number).where(tracker_emission.c.run_number == r.number)
    query = (
        select(r.id)
        .where(
            r.team_id == team_id,
            r.experiment_id == experiment_id,
            r.created_ms >= since_ms,
            r.address == address,
            r.machine == machine,
            ~sent.exists(),
        )
        .order_by(r.created_ms.desc())
        .limit(1)
    )
    return connection.scalar(query)


def tracked_among(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Those of some `team/run` that a tracker opened."""
    r = tracker_run.c
    found: set[str] = set()
    for first in range(0, len(keys), 500):
        some = keys[first : first + 500]
        ids = {key.partition("/")[2] for key in some}
        found |= set(connection.scalars(select(r.key).where(r.id.in_(ids), r.key.in_(some))))
    return found


#: Time stamps of totals are whole seconds.
_SAME_START_MS = 2_500


def find_totals_run(
    connection: Connection,
    team_id: int,
    experiment_id: str,
    machine: str,
    run_id: str | None,
    start_ms: int,
) -> str | None:
    """By its id where it has one; else the run of that machine that began then."""
    r = tracker_run.c
    query = select(r.id).where(r.team_id == team_id, r.experiment_id == experiment_id)
    if run_id is not None:
        return connection.scalar(query.where(r.id == run_id))
    near = (r.created_ms - start_ms).between(-_SAME_START_MS, _SAME_START_MS)
    return connection.scalar(query.where(r.machine == machine, near).limit(1))


def insert_run(connection: Connection, **values: Any) -> None:
    connection.execute(insert(tracker_run).values(**values))


_WIDER = (
    "ON CONFLICT (id) DO UPDATE SET"
    " start_ms = CASE WHEN run.start_ms < excluded.start_ms"
    " THEN run.start_ms ELSE excluded.start_ms END,"
    " end_ms = CASE WHEN run.end_ms > excluded.end_ms THEN run.end_ms ELSE excluded.end_ms END"
)


def widen_runs(connection: Connection, runs: Sequence[RunRow]) -> None:
    """As `names.widen_run` of many at once; whose a known run is stays as it is."""
    upsert_rows(connection, run, [(*row, None) for row in runs], _WIDER)


def add_emissions(connection: Connection, rows: Sequence[EmissionRow]) -> None:
    """Deltas; those that are known stay as they are."""
    insert_new_rows(connection, tracker_emission, rows)


_HEAR = (
    update(source)
    .where(source.c.id == bindparam("of_source"))
    .values(last_seen_ms=bindparam("last_seen_ms"), skew_ms=bindparam("skew_ms"))
)


def hear_sources(connection: Connection, heard: Sequence[dict[str, Any]]) -> None:
    """`{of_source, last_seen_ms, skew_ms}` of each."""
    if heard:
        connection.execute(_HEAR, list(heard))


def emissions_of(
    connection: Connection, run_number: int, offset: int, limit: int
) -> tuple[list[Row[Any]], int]:
    """(a page of deltas, the oldest first; how many there are)."""
    e = tracker_emission.c
    of_run = select(tracker_emission).where(e.run_number == run_number)
    page = connection.execute(of_run.order_by(e.end_ms).offset(offset).limit(limit)).all()
    total = select(func.count()).select_from(tracker_emission).where(e.run_number == run_number)
    return list(page), connection.scalar(total) or 0


def find_emission(connection: Connection, run_number: int, end_ms: int) -> Row[Any] | None:
    e = tracker_emission.c
    query = select(tracker_emission).where(e.run_number == run_number, e.end_ms == end_ms)
    return connection.execute(query).one_or_none()


def run_of_number(connection: Connection, number: int) -> TrackerRun | None:
    row = connection.execute(_runs().where(tracker_run.c.number == number)).one_or_none()
    return _run(row) if row else None


# Projects and experiments


def insert_project(connection: Connection, **values: Any) -> None:
    connection.execute(insert(tracker_project).values(**values))


def projects_of(connection: Connection, team_name: str | None) -> list[Row[Any]]:
    p = tracker_project
    query = select(p, team.c.name.label("team")).join(team).order_by(p.c.created_ms, p.c.id)
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    return list(connection.execute(query).all())


def change_project(connection: Connection, project_id: str, **values: Any) -> None:
    p = tracker_project
    connection.execute(update(p).where(p.c.id == project_id).values(**values))


def delete_project(connection: Connection, project_id: str) -> None:
    """Its experiments and their runs stay: what was measured is not taken back."""
    x = tracker_experiment
    connection.execute(update(x).where(x.c.project_id == project_id).values(project_id=None))
    connection.execute(delete(tracker_project).where(tracker_project.c.id == project_id))


def insert_experiment(connection: Connection, **values: Any) -> None:
    connection.execute(insert(tracker_experiment).values(**values))


def experiments_of(
    connection: Connection,
    team_name: str | None,
    project_id: str | None = None,
    experiment_id: str | None = None,
) -> list[Row[Any]]:
    x = tracker_experiment
    query = select(x, team.c.name.label("team")).join(team).order_by(x.c.created_ms, x.c.id)
    if team_name is not None:
        query = query.where(team.c.name == team_name)
    if project_id is not None:
        query = query.where(x.c.project_id == project_id)
    if experiment_id is not None:
        query = query.where(x.c.id == experiment_id)
    return list(connection.execute(query).all())
