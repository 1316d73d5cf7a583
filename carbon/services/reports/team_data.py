"""What is held of a team, handed to it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import select

from carbon.domain.principal import Principal
from carbon.errors import NotFound
from carbon.services.context import Context
from carbon.storage.engine import reading
from carbon.storage.names import team as team_table
from carbon.storage.team_rows import team_rows


def team_data(context: Context, principal: Principal, team: str) -> Iterator[bytes]:
    """JSON lines `{table, row}`. Raises NotFound(`unknown_team`), for another's too."""
    with reading(context.engine) as connection:
        team_id = connection.scalar(select(team_table.c.id).where(team_table.c.name == team))
    if team_id is None or not (principal.sees_all_teams or principal.team == team):
        raise NotFound("unknown_team", f"no team {team!r}")
    return _lines(context, team_id)


def _lines(context: Context, team_id: int) -> Iterator[bytes]:
    with reading(context.engine) as connection:
        for table, row in team_rows(connection, team_id):
            yield msgspec.json.encode({"table": table, "row": row}) + b"\n"
