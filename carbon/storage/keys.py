"""Keys, sign-in links, sessions, leases and the audit log."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from carbon.storage.schema import Id, Ms, metadata

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hmac", LargeBinary, nullable=False),
    Column("team_id", ForeignKey("team.id"), nullable=False),
    Column("scopes", Text, nullable=False),  # blank-separated
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
