"""The names of one team, taken out of every table that holds them. Numbers stay."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    Table,
    cast,
    delete,
    literal,
    select,
    update,
)

from carbon.storage.budgets import budget
from carbon.storage.closed_periods import closed_period
from carbon.storage.components import workload_component
from carbon.storage.corrections import workload_alias
from carbon.storage.experiments import experiment
from carbon.storage.jobs import job
from carbon.storage.keys import api_key, session
from carbon.storage.names import (
    boundary,
    claim,
    host,
    run,
    source,
    subject,
    team,
    workload,
)
from carbon.storage.notices import report_notice
from carbon.storage.report_tables import report_table
from carbon.storage.reports import report
from carbon.storage.trackers import tracker_experiment, tracker_project, tracker_run

#: What stands instead of a name, before the row's own id: unique where names were.
_ERASED: Final = "erased-"

#: Columns that are emptied in the rows of a team.
_EMPTIED: Final[tuple[tuple[Table, tuple[str, ...]], ...]] = (
    (report, ("title", "request", "statement", "salt")),
    (experiment, ("request", "statement")),
    (closed_period, ("body",)),
    (job, ("name", "spec")),
    (api_key, ("name",)),
    (workload_alias, ("name",)),
    (tracker_project, ("name", "description")),
    (tracker_experiment, ("name", "details")),
    (tracker_run, ("key", "address", "machine", "details")),
)


def erase_names(connection: Connection, team_id: int, now_ms: int) -> list[str]:
    """Ids of the documents whose text is gone. Keys are revoked and sessions ended."""
    workloads = select(workload.c.id).where(workload.c.team_id == team_id).scalar_subquery()
    of_reports = select(report.c.id).where(report.c.team_id == team_id)
    of_experiments = select(experiment.c.id).where(experiment.c.team_id == team_id)
    of_periods = select(closed_period.c.id).where(closed_period.c.team_id == team_id)
    queries = (of_reports, of_experiments, of_periods)
    gone = sorted(id_ for query in queries for id_ in connection.scalars(query))
    restated = report.c.team_id == team_id
    connection.execute(update(report).where(restated).values(restatement=None))
    for table, columns in _EMPTIED:
        own = table.c.team_id == team_id
        connection.execute(update(table).where(own).values(dict.fromkeys(columns, "")))
    subjects = select(claim.c.subject_id).where(claim.c.workload_id.in_(workloads))
    _rename(connection, subject, "key", subject.c.id.in_(subjects))
    connection.execute(
        update(run)
        .where(run.c.workload_id.in_(workloads))
        .values(id=literal(_ERASED) + cast(run.c.subject_id, String))
    )
    connection.execute(
        update(boundary)
        .where(boundary.c.workload_id.in_(workloads))
        .values(included="[]", excluded="[]")
    )
    for table in (workload_component, budget):
        connection.execute(delete(table).where(table.c.workload_id.in_(workloads)))
    for table in (report_notice, report_table):
        connection.execute(delete(table).where(table.c.team_id == team_id))
    name = connection.scalar(select(team.c.name).where(team.c.id == team_id))
    # A sender that names no host stands as one of its own, under its team's name.
    _rename(connection, host, "name", host.c.name.startswith(f"{name}/", autoescape=True))
    _rename(connection, source, "name", source.c.team_id == team_id)
    _rename(connection, workload, "name", workload.c.team_id == team_id)
    _rename(connection, team, "name", team.c.id == team_id)
    connection.execute(update(team).where(team.c.id == team_id).values(salt=""))
    keys = select(api_key.c.id).where(api_key.c.team_id == team_id)
    connection.execute(delete(session).where(session.c.key_id.in_(keys)))
    connection.execute(
        update(api_key)
        .where(api_key.c.team_id == team_id, api_key.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    )
    return gone


def _rename(connection: Connection, table: Table, column: str, where: ColumnElement[Any]) -> None:
    name = literal(_ERASED) + cast(table.c.id, String)
    connection.execute(update(table).where(where).values({column: name}))
