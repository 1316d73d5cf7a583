"""API keys: made, checked, listed and revoked."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from carbon.auth.key_text import KeyText, id_within
from carbon.auth.pepper import hash_secret, write_private
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES, AGENT_SCOPES, Scope
from carbon.errors import InvalidInput, NotFound, Unauthorized
from carbon.services.context import Context
from carbon.settings import Settings, make_private_dir
from carbon.storage import keys as stored
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id


def create_key(
    context: Context,
    name: str,
    team: str,
    scopes: Iterable[Scope],
    expires_ms: int | None = None,
) -> tuple[str, str]:
    """A new key of a team, which is created on demand. Returns the key's text and its id.

    The text is told here and never again: the store keeps its HMAC alone.
    Raises InvalidInput(`key_expired`) where it would never hold.
    """
    now_ms = context.clock.now_ms()
    if expires_ms is not None and expires_ms <= now_ms:
        raise InvalidInput("key_expired", "a key must expire in the future")
    with writing(context.engine) as connection:
        team_number = team_id(connection, team, now_ms)
        return insert_key(context, connection, name, team_number, scopes, expires_ms)


def insert_key(
    context: Context,
    connection: Connection,
    name: str,
    team_number: int,
    scopes: Iterable[Scope],
    expires_ms: int | None = None,
    role: str | None = None,
) -> tuple[str, str]:
    """As `create_key`, within the caller's transaction and for a team that is there."""
    text = KeyText.generate()
    stored.insert_key(
        connection,
        id=text.key_id,
        name=name,
        hmac=_key_hmac(context.settings, text),
        team_id=team_number,
        scopes=" ".join(sorted(scopes)),
        role=role,
        created_ms=context.clock.now_ms(),
        expires_ms=expires_ms,
    )
    return str(text), text.key_id


def principal_of_key(context: Context, text: str) -> Principal:
    """Who holds this key.

    Raises Unauthorized: `key_malformed`, `key_unknown`, `key_revoked`, `key_expired`.
    """
    remembered = _remembered(context)
    proof = _proof(text)
    proven = remembered.get(id_within(text))
    is_fresh = proven is not None and proven.until_ns > context.clock.monotonic_ns()
    if proven is None or not is_fresh or not hmac.compare_digest(proven.proof, proof):
        key = KeyText.parse(text)
        stored_key = proven.key if proven and is_fresh else _read(context, key.key_id)
        if not hmac.compare_digest(stored_key.hmac, _key_hmac(context.settings, key)):
            raise _unknown()
        holder = None
        if stored_key.revoked_ms is None and stored_key.expires_ms is None:
            holder = principal_of_stored(stored_key, context.clock.now_ms())
        until_ns = context.clock.monotonic_ns() + _REMEMBER_NS
        proven = _Proven(stored_key, until_ns, proof, holder)
        remembered[key.key_id] = proven
    return proven.holder(context.clock.now_ms())


def remembered_principal(context: Context, text: str) -> Principal | None:
    """Who holds a key that was proven in the last seconds, without asking the store; else None.

    Raises Unauthorized: `key_revoked`, `key_expired`.
    """
    proven = _remembered(context).get(id_within(text))
    if proven is None or proven.until_ns <= context.clock.monotonic_ns():
        return None
    if not hmac.compare_digest(proven.proof, _proof(text)):
        return None
    return proven.holder(context.clock.now_ms())


def _proof(text: str) -> bytes:
    return blake2b(text.encode(), key=_PROOF_KEY).digest()


def principal_of_stored(key: stored.StoredKey, now_ms: int) -> Principal:
    """Raises Unauthorized: `key_revoked`, `key_expired`."""
    if key.revoked_ms is not None:
        raise Unauthorized("key_revoked", f"the key {key.id} was revoked; ask for a new one")
    if key.expires_ms is not None and key.expires_ms <= now_ms:
        raise Unauthorized("key_expired", f"the key {key.id} has expired; ask for a new one")
    return Principal(
        key_id=key.id,
        name=key.name,
        team=key.team,
        scopes=_scopes(key.scopes),
    )


@lru_cache(1024)
def _scopes(text: str) -> frozenset[Scope]:
    """A scope that a newer carbon wrote grants nothing here."""
    return frozenset(scope for scope in Scope if scope in text.split())


def revoke_key(context: Context, key_id: str) -> None:
    """Ends a key and the browser sessions opened with it; again is the same.

    Other processes notice within the 5 s for which they remember a key.
    Raises NotFound(`unknown_key`).
    """
    with writing(context.engine) as connection:
        if not stored.revoke(connection, key_id, context.clock.now_ms()):
            raise NotFound("unknown_key", f"no key {key_id!r}; list them with: carbon key list")
    forget_key(context, key_id)


def forget_key(context: Context, key_id: str) -> None:
    """This process asks the store again before it believes the key."""
    _remembered(context).pop(key_id, None)


def list_keys(context: Context, team: str | None = None) -> list[stored.StoredKey]:
    """All keys, or a team's, oldest first; without their HMACs."""
    with reading(context.engine) as connection:
        return [replace(key, hmac=b"") for key in stored.all_keys(connection, team)]


def any_key(context: Context) -> bool:
    """Whether any key holds: without one, nobody may be let in from the network."""
    return any(key.revoked_ms is None for key in list_keys(context))


def key_id_of(text: str) -> str:
    """The public part of a key's text."""
    return KeyText.parse(text).key_id


@dataclass(frozen=True, slots=True)
class LocalKeys:
    """The keys that this machine's own CLI and agent use."""

    admin_key: str
    agent_key: str


def ensure_local_keys(context: Context) -> LocalKeys:
    """The keys of `<data_dir>/keys.json`; what is missing there or no longer holds is made."""
    path = context.settings.data_dir / "keys.json"
    known = _read_local(path)
    admin = _still_good(context, known.get("admin_key"))
    agent = _still_good(context, known.get("agent_key"))
    if admin and agent:
        return LocalKeys(admin, agent)
    team = context.settings.team
    keys = LocalKeys(
        admin or create_key(context, "local admin", team, ADMIN_SCOPES)[0],
        agent or create_key(context, "local agent", team, AGENT_SCOPES)[0],
    )
    _write_local(path, keys)
    return keys


#: How long a key is believed without looking again, so that ingest does not query per request.
_REMEMBER_NS: Final = 5_000_000_000
_MOST_REMEMBERED: Final = 10_000
_PROOF_KEY: Final = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class _Proven:
    key: stored.StoredKey
    until_ns: int
    #: Of the text that was proven, under a key of this process: the pepper's file need not be
    #: read for each request.
    proof: bytes
    #: Of a key that ends by being revoked alone.
    _holder: Principal | None = None

    def holder(self, now_ms: int) -> Principal:
        """Raises Unauthorized: `key_revoked`, `key_expired`."""
        return self._holder or principal_of_stored(self.key, now_ms)


_remembered_by_engine: WeakKeyDictionary[Engine, dict[str, _Proven]] = WeakKeyDictionary()


def _remembered(context: Context) -> dict[str, _Proven]:
    keys = _remembered_by_engine.setdefault(context.engine, {})
    if len(keys) > _MOST_REMEMBERED:
        keys.clear()
    return keys


def _read(context: Context, key_id: str) -> stored.StoredKey:
    with reading(context.engine) as connection:
        key = stored.find_key(connection, key_id)
    if key is None:
        raise _unknown()
    return key


def _unknown() -> Unauthorized:
    # The same answer for an unknown id and a wrong secret: which ids exist is not told.
    return Unauthorized("key_unknown", "this service does not know the key; is it another's?")


def _key_hmac(settings: Settings, key: KeyText) -> bytes:
    return hash_secret(settings, f"key:{key.key_id}:{key.secret}")


def _still_good(context: Context, text: str | None) -> str | None:
    try:
        return text if text and principal_of_key(context, text) else None
    except Unauthorized:
        return None


def _read_local(path: Path) -> dict[str, str]:
    try:
        known = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, str)} if isinstance(known, dict) else {}


def _write_local(path: Path, keys: LocalKeys) -> None:
    make_private_dir(path.parent)
    content = {"admin_key": keys.admin_key, "agent_key": keys.agent_key}
    own = path.with_name(f"keys.json.{os.getpid()}.{secrets.token_hex(4)}")
    write_private(own, json.dumps(content, indent=2).encode() + b"\n")
    own.replace(path)
