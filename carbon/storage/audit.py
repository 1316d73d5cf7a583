"""The audit log: append-only, each entry's hash covers the one before.

An entry holds ids and hashes, and no name of a team, workload or person: those may have to be
erased, the chain may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, func, select, text

from carbon.storage.engine import is_sqlite
from carbon.storage.keys import audit

#: What the first entry follows.
GENESIS: Final = bytes(32)
#: Of PostgreSQL's advisory locks: appending waits here, since an entry needs the one before.
_CHAIN_LOCK: Final = 0x63617262
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Entry:
    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    body: str
    previous_hash: bytes
    hash: bytes

    @property
    def told(self) -> bytes:
        """`[at_ms, actor, action, subject, body]` as compact JSON: what the hash covers."""
        return _told(self.at_ms, self.actor, self.action, self.subject, self.body)

    @property
    def is_sound(self) -> bool:
        """Whether the entry still says what its hash covers."""
        return self.hash == sha256(self.previous_hash + self.told).digest()


def entry_hash(
    previous_hash: bytes, at_ms: int, actor: str, action: str, subject: str, body: str
) -> bytes:
    """sha256 of the hash before and of `[at_ms, actor, action, subject, body]` as compact JSON."""
    return sha256(previous_hash + _told(at_ms, actor, action, subject, body)).digest()


def _told(at_ms: int, actor: str, action: str, subject: str, body: str) -> bytes:
    return msgspec.json.encode([at_ms, actor, action, subject, body])


def append(
    connection: Connection, at_ms: int, actor: str, action: str, subject: str, body: dict[str, Any]
) -> Entry:
    """Within the caller's transaction: what is recorded and its entry stand or fall together."""
    if not is_sqlite(connection):  # SQLite's writer holds its lock already
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CHAIN_LOCK})
    previous = head(connection) or GENESIS
    encoded = msgspec.json.encode(body, order="sorted").decode()
    hash_ = entry_hash(previous, at_ms, actor, action, subject, encoded)
    inserted = connection.execute(
        audit.insert().values(
            at_ms=at_ms,
            actor=actor,
            action=action,
            subject=subject,
            body=encoded,
            previous_hash=previous,
            hash=hash_,
        )
    )
    key = inserted.inserted_primary_key
    assert key is not None
    return Entry(key[0], at_ms, actor, action, subject, encoded, previous, hash_)


def head(connection: Connection) -> bytes | None:
    """Hash of the newest entry."""
    newest = select(func.max(audit.c.id)).scalar_subquery()
    found = connection.scalar(select(audit.c.hash).where(audit.c.id == newest))
    return None if found is None else bytes(found)


def entries(connection: Connection, after: int = 0) -> Iterator[Entry]:
    """All entries after one, oldest first, read by pages."""
    while page := entries_page(connection, after, _PAGE):
        yield from page
        after = page[-1].id


def entries_page(connection: Connection, after: int, limit: int) -> list[Entry]:
    query = select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(limit)
    return [
        Entry(
            row.id,
            row.at_ms,
            row.actor,
            row.action,
            row.subject,
            row.body,
            bytes(row.previous_hash),
            bytes(row.hash),
        )
        for row in connection.execute(query)
    ]


def entry_of(connection: Connection, action: str, subject: str) -> Entry | None:
    """The first entry of an action on a subject."""
    query = (
        select(audit.c.id)
        .where(audit.c.action == action, audit.c.subject == subject)
        .order_by(audit.c.id)
        .limit(1)
    )
    found = connection.scalar(query)
    return None if found is None else entries_page(connection, found - 1, 1)[0]
