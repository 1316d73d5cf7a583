"""Join tokens, and which host joined with which of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    Select,
    Table,
    Text,
    case,
    insert,
    select,
    update,
)

from carbon.storage.names import team as team_table
from carbon.storage.schema import Ms, metadata

join_token = Table(
    "join_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hmac", LargeBinary, nullable=False),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("uses_left", Integer, nullable=False),
    Column("created_ms", Ms, nullable=False),
    Column("expires_ms", Ms, nullable=False),
    Column("revoked_ms", Ms, nullable=True),
)

#: One row for each use of a token.
host_join = Table(
    "host_join",
    metadata,
    Column("token_id", ForeignKey("join_token.id"), primary_key=True),
    #: Of what the agent drew before it asked: it may ask again where it never heard the answer.
    Column("attempt_hmac", LargeBinary, primary_key=True),
    Column("host", Text, nullable=False),
    Column("key_id", ForeignKey("api_key.id"), nullable=False),
    Column("at_ms", Ms, nullable=False),
    Index(None, "key_id"),
)


@dataclass(frozen=True, slots=True)
class StoredToken:
    id: str
    name: str
    hmac: bytes
    team_id: int
    team: str
    uses_left: int
    created_ms: int
    expires_ms: int
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class Join:
    token_id: str
    host: str
    key_id: str
    at_ms: int


def insert_token(connection: Connection, **values: Any) -> None:
    connection.execute(insert(join_token).values(**values))


def find_token(connection: Connection, token_id: str) -> StoredToken | None:
    row = connection.execute(_tokens().where(join_token.c.id == token_id)).one_or_none()
    return _token(row) if row else None


def all_tokens(connection: Connection) -> Sequence[StoredToken]:
    """Oldest first."""
    query = _tokens().order_by(join_token.c.created_ms, join_token.c.id)
    return [_token(row) for row in connection.execute(query)]


def spend(connection: Connection, token_id: str) -> bool:
    """Takes one use. False where none is left: of two that come at once one is told so."""
    taken = connection.execute(
        update(join_token)
        .where(join_token.c.id == token_id, join_token.c.uses_left > 0)
        .values(uses_left=join_token.c.uses_left - 1)
    )
    return taken.rowcount == 1


def revoke_token(connection: Connection, token_id: str, now_ms: int) -> bool:
    """Whether there is such a token. The first moment of revocation stays."""
    first = case((join_token.c.revoked_ms.is_(None), now_ms), else_=join_token.c.revoked_ms)
    found = connection.execute(
        update(join_token).where(join_token.c.id == token_id).values(revoked_ms=first)
    )
    return found.rowcount == 1


def insert_join(connection: Connection, attempt_hmac: bytes, join: Join) -> None:
    connection.execute(
        insert(host_join).values(
            token_id=join.token_id,
            attempt_hmac=attempt_hmac,
            host=join.host,
            key_id=join.key_id,
            at_ms=join.at_ms,
        )
    )


def find_join(connection: Connection, token_id: str, attempt_hmac: bytes) -> Join | None:
    row = connection.execute(
        select(host_join).where(
            host_join.c.token_id == token_id, host_join.c.attempt_hmac == attempt_hmac
        )
    ).one_or_none()
    return _join(row) if row else None


def change_key(connection: Connection, token_id: str, attempt_hmac: bytes, key_id: str) -> None:
    connection.execute(
        update(host_join)
        .where(host_join.c.token_id == token_id, host_join.c.attempt_hmac == attempt_hmac)
        .values(key_id=key_id)
    )


def all_joins(connection: Connection) -> Sequence[Join]:
    """Oldest first."""
    query = select(host_join).order_by(host_join.c.at_ms, host_join.c.host)
    return [_join(row) for row in connection.execute(query)]


def _tokens() -> Select[Any]:
    return select(*join_token.c, team_table.c.name.label("team")).join(
        team_table, team_table.c.id == join_token.c.team_id
    )


def _token(row: Row[Any]) -> StoredToken:
    return StoredToken(
        id=row.id,
        name=row.name,
        hmac=bytes(row.hmac),
        team_id=row.team_id,
        team=row.team,
        uses_left=row.uses_left,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
    )


def _join(row: Row[Any]) -> Join:
    return Join(row.token_id, row.host, row.key_id, row.at_ms)
