"""Recorded experiments and the runs in them. Rows are inserted, never changed: together they are
the optimisation log of a workload."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Row,
    Table,
    Text,
    or_,
    select,
    update,
)

from carbon.storage.names import team
from carbon.storage.schema import Ms, metadata
from carbon.storage.upsert import insert_new

experiment = Table(
    "experiment",
    metadata,
    Column("id", Text, primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    #: Of the baseline.
    Column("workload_id", ForeignKey("workload.id"), nullable=False),
    Column("technique", Text, nullable=False),
    Column("recorded_ms", Ms, nullable=False),
    #: Id of the key that recorded it.
    Column("actor", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    #: May be read by every team.
    Column("is_published", Boolean, nullable=False),
    Column("request", Text, nullable=False),  # JSON, as it was sent
    Column("statement", Text, nullable=False),  # JSON, to the byte what the hash covers
    Column("statement_hash", Text, nullable=False),
    Index(None, "team_id", "recorded_ms"),
    Index(None, "workload_id"),
)

#: Which technique a run belongs to, for series by technique: of several the first recorded.
experiment_subject = Table(
    "experiment_subject",
    metadata,
    Column("subject_id", ForeignKey("subject.id"), primary_key=True),
    Column("experiment_id", ForeignKey("experiment.id"), nullable=False),
    Column("technique", Text, nullable=False),
    Column("arm", Text, nullable=False),
    Index(None, "experiment_id"),
)


@dataclass(frozen=True, slots=True)
class StoredExperiment:
    id: str
    team: str
    workload_id: int
    technique: str
    recorded_ms: int
    actor: str
    verdict: str
    is_published: bool
    request: str
    statement: str
    statement_hash: str
    #: Of the team; empty where it never published anything.
    salt: str = ""


def insert_experiment(
    connection: Connection,
    team_id: int,
    made: StoredExperiment,
    subjects: Iterable[tuple[int, str]],
) -> None:
    """`subjects` are (subject, arm) of the runs in it."""
    connection.execute(
        experiment.insert().values(
            id=made.id,
            team_id=team_id,
            workload_id=made.workload_id,
            technique=made.technique,
            recorded_ms=made.recorded_ms,
            actor=made.actor,
            verdict=made.verdict,
            is_published=made.is_published,
            request=made.request,
            statement=made.statement,
            statement_hash=made.statement_hash,
        )
    )
    rows = [
        {
            "subject_id": subject_id,
            "experiment_id": made.id,
            "technique": made.technique,
            "arm": arm,
        }
        for subject_id, arm in subjects
    ]
    if rows:
        insert_new(connection, experiment_subject, rows)


def draw_salt(connection: Connection, team_id: int) -> None:
    """The team's, once and for all."""
    without = (team.c.id == team_id) & (team.c.salt == "")
    connection.execute(update(team).where(without).values(salt=secrets.token_hex(32)))


def find_experiment(connection: Connection, id_: str) -> StoredExperiment | None:
    row = connection.execute(_query().where(experiment.c.id == id_)).one_or_none()
    return _stored(row) if row else None


def statements_of(connection: Connection, workload_ids: Collection[int]) -> list[tuple[int, str]]:
    """(workload, statement as JSON) of some workloads' experiments, newest first."""
    e = experiment.c
    query = (
        select(e.workload_id, e.statement)
        .where(e.workload_id.in_(workload_ids), e.statement != "")
        .order_by(e.recorded_ms.desc(), e.id.desc())
    )
    return [(row.workload_id, row.statement) for row in connection.execute(query)]


def experiments_of(
    connection: Connection,
    team_name: str | None,
    limit: int,
    *,
    workload_id: int | None = None,
    technique: str | None = None,
    before: tuple[int, str] | None = None,
) -> list[StoredExperiment]:
    """Newest first, without what was erased: those that a team may read, or all; `before` is
    (recorded_ms, id) of the last one seen."""
    e = experiment.c
    query = _query().where(e.statement != "")
    query = query.order_by(e.recorded_ms.desc(), e.id.desc()).limit(limit)
    if team_name is not None:
        query = query.where(or_(team.c.name == team_name, e.is_published.is_(True)))
    if workload_id is not None:
        query = query.where(e.workload_id == workload_id)
    if technique is not None:
        query = query.where(e.technique == technique)
    if before is not None:
        at_ms, id_ = before
        query = query.where((e.recorded_ms < at_ms) | ((e.recorded_ms == at_ms) & (e.id < id_)))
    return [_stored(row) for row in connection.execute(query)]


def _query() -> Any:
    return select(*experiment.c, team.c.name.label("team"), team.c.salt).join(
        team, team.c.id == experiment.c.team_id
    )


def _stored(row: Row[Any]) -> StoredExperiment:
    return StoredExperiment(
        row.id,
        row.team,
        row.workload_id,
        row.technique,
        row.recorded_ms,
        row.actor,
        row.verdict,
        bool(row.is_published),
        row.request,
        row.statement,
        row.statement_hash,
        row.salt,
    )
