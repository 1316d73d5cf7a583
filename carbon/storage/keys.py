"""Keys, sign-in links, sessions, leases and the audit log."""

from __future__ import annotations

from collections.abc import Iterator
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
    delete,
    insert,
    select,
    update,
)

from carbon.storage.names import team as team_table
from carbon.storage.schema import Id, Ms, metadata

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hmac", LargeBinary, nullable=False),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("scopes", Text, nullable=False),  # blank-separated
    #: Of a person who was invited (domain.roles); null for a program's key.
    Column("role", Text, nullable=True),
    Column("created_ms", Ms, nullable=False),
    Column("expires_ms", Ms, nullable=True),
    Column("revoked_ms", Ms, nullable=True),
)

#: A sign-in link's token, or a browser's session: both are random and stored as a hash.
session = Table(
    "session",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("kind", Text, nullable=False),  # link | browser
    Column("key_id", ForeignKey("api_key.id"), nullable=False),
    Column("created_ms", Ms, nullable=False),
    Column("expires_ms", Ms, nullable=False),
    Index(None, "expires_ms"),
)

lease = Table(
    "lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    #: Grows with each change of holder; every write of the leader carries it.
    Column("epoch", Integer, nullable=False),
    Column("expires_ms", Ms, nullable=False),
)

#: Append-only; each row's hash covers the one before.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at_ms", Ms, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class StoredKey:
    id: str
    name: str
    hmac: bytes
    team: str
    scopes: str
    role: str | None
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None


@dataclass(frozen=True, slots=True)
class StoredSession:
    hash: bytes
    kind: str
    expires_ms: int
    key: StoredKey


def insert_key(connection: Connection, **values: Any) -> None:
    connection.execute(insert(api_key).values(**values))


def find_key(connection: Connection, key_id: str) -> StoredKey | None:
    row = connection.execute(_keys().where(api_key.c.id == key_id)).one_or_none()
    return _key(row) if row else None


def all_keys(connection: Connection, team: str | None) -> Iterator[StoredKey]:
    """Oldest first; of one team where one is named."""
    query = _keys().order_by(api_key.c.created_ms, api_key.c.id)
    if team is not None:
        query = query.where(team_table.c.name == team)
    return (_key(row) for row in connection.execute(query))


def revoke(connection: Connection, key_id: str, now_ms: int) -> bool:
    """Whether there is such a key. The first moment of revocation stays."""
    first = case((api_key.c.revoked_ms.is_(None), now_ms), else_=api_key.c.revoked_ms)
    found = connection.execute(
        update(api_key).where(api_key.c.id == key_id).values(revoked_ms=first)
    )
    connection.execute(delete(session).where(session.c.key_id == key_id))
    return found.rowcount == 1


def insert_session(connection: Connection, **values: Any) -> None:
    connection.execute(insert(session).values(**values))


def find_session(connection: Connection, hash_: bytes) -> StoredSession | None:
    own = (session.c.hash, session.c.kind, session.c.expires_ms)
    query = (
        _keys()
        .add_columns(*(column.label(f"session_{column.name}") for column in own))
        .join(session, session.c.key_id == api_key.c.id)
        .where(session.c.hash == hash_)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return StoredSession(
        bytes(row.session_hash), row.session_kind, row.session_expires_ms, _key(row)
    )


def delete_session(connection: Connection, hash_: bytes) -> bool:
    return connection.execute(delete(session).where(session.c.hash == hash_)).rowcount == 1


def delete_ended_sessions(connection: Connection, before_ms: int) -> None:
    connection.execute(delete(session).where(session.c.expires_ms < before_ms))


def _keys() -> Select[Any]:
    return select(*api_key.c, team_table.c.name.label("team")).join(
        team_table, team_table.c.id == api_key.c.team_id
    )


def _key(row: Row[Any]) -> StoredKey:
    return StoredKey(
        id=row.id,
        name=row.name,
        hmac=bytes(row.hmac),
        team=row.team,
        scopes=row.scopes,
        role=row.role,
        created_ms=row.created_ms,
        expires_ms=row.expires_ms,
        revoked_ms=row.revoked_ms,
    )
