"""Erasing a team: its names and salts go, its numbers and the proof of the log stay."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select

from carbon.errors import Conflicting, NotFound
from carbon.services.audit import TEAM_ERASED
from carbon.services.context import Context
from carbon.storage.audit import append
from carbon.storage.engine import writing
from carbon.storage.erasure import erase_names
from carbon.storage.names import team


class Erased(Struct, frozen=True):
    #: What stands in the ledger instead of the team's name.
    team: str
    #: Reports, experiments and closed periods without text; their hashes stay in the log.
    documents: list[str]


def erase_team(context: Context, name: str, actor: str) -> Erased:
    """Final. Raises NotFound(`unknown_team`) and Conflicting(`own_team`), for the deployment's."""
    if name == context.settings.team:
        raise Conflicting("own_team", f"{name} is this deployment's own team; it cannot go")
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        team_id = connection.scalar(select(team.c.id).where(team.c.name == name))
        if team_id is None:
            raise NotFound("unknown_team", f"no team {name!r}")
        gone = erase_names(connection, team_id, now_ms)
        told = f"team:{team_id}"
        append(connection, now_ms, actor, TEAM_ERASED, told, {"documents": gone})
    return Erased(f"erased-{team_id}", gone)
