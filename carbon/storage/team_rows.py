"""Everything that the database holds of one team, table by table."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Table, select

from carbon.storage.jobs import job
from carbon.storage.names import team, workload, workload_unit
from carbon.storage.tables import metadata

#: Of the deployment's trust and not of the team: keys, tokens, who works on what.
_NOT_THEIRS: Final = frozenset({"api_key", "join_token", "session", "host_join"})
#: Marks of work to be done; they say nothing.
_QUEUES: Final = frozenset({"dirty_hour", "dirty_period", "dirty_bucket", "dirty_price"})


def team_rows(connection: Connection, team_id: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """(table, row), in an order in which what is pointed at comes first."""
    for table in metadata.sorted_tables:
        theirs = None if table.name in _NOT_THEIRS | _QUEUES else _theirs(table, team_id)
        if theirs is None:
            continue
        query = select(table).where(theirs).execution_options(yield_per=1000)
        for row in connection.execute(query).mappings():
            yield str(table.name), {str(name): _plain(value) for name, value in row.items()}


def _theirs(table: Table, team_id: int) -> ColumnElement[bool] | None:
    """By the nearest thing that names the team; None for tables of the deployment."""
    workloads = select(workload.c.id).where(workload.c.team_id == team_id)
    if table is team:
        return team.c.id == team_id
    if "team_id" in table.c:
        return table.c.team_id == team_id
    if "workload_id" in table.c:
        return table.c.workload_id.in_(workloads)
    if "unit_id" in table.c:
        units = select(workload_unit.c.id).where(workload_unit.c.workload_id.in_(workloads))
        return table.c.unit_id.in_(units)
    if "job_id" in table.c:
        return table.c.job_id.in_(select(job.c.id).where(job.c.team_id == team_id))
    return None


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
