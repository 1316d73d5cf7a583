"""Sign-in links and browser sessions: a person acts with the rights of one key."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from carbon.auth.keys import principal_of_key, principal_of_stored
from carbon.auth.pepper import hash_secret
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_DAY
from carbon.errors import Unauthorized
from carbon.services.context import Context
from carbon.storage import keys as stored
from carbon.storage.engine import reading, writing

SESSION_COOKIE: Final = "carbon_session"
SESSION_MS: Final = 30 * MS_PER_DAY
LINK_MS: Final = MS_PER_DAY
#: Ended rows are kept this long, so that a late comer is told `expired` and not `unknown`.
_KEEP_ENDED_MS: Final = 7 * MS_PER_DAY


def make_sign_in_link(context: Context, key_id: str) -> str:
    """A token that opens one session with the rights of a key, within 24 h."""
    return _store(context, "link", key_id, LINK_MS)


def open_session(context: Context, token: str) -> str:
    """Turns a sign-in token into a session. Returns the value of its cookie, good for 30 days.

    Raises Unauthorized: `link_unknown` (also once it was used), `link_expired`, and those of
    the key behind it.
    """
    row = _find(context, "link", token)
    if row is None:
        raise Unauthorized(
            "link_unknown", "this sign-in link was used before or is none of ours; start anew"
        )
    now_ms = context.clock.now_ms()
    if row.expires_ms <= now_ms:
        raise Unauthorized("link_expired", "this sign-in link is older than 24 h; ask for another")
    principal_of_stored(row.key, now_ms)
    with writing(context.engine) as connection:
        # Of two that come at once, only the one whose delete hits opens a session.
        if not stored.delete_session(connection, row.hash):
            raise Unauthorized("link_unknown", "this sign-in link was used before; start anew")
    return _store(context, "browser", row.key.id, SESSION_MS)


def open_session_of_key(context: Context, key_text: str) -> str:
    """A session for a person who has the key at hand. Raises as `principal_of_key`."""
    key_id = principal_of_key(context, key_text).key_id
    return _store(context, "browser", key_id, SESSION_MS)


def principal_of_session(context: Context, cookie: str) -> Principal:
    """Who is signed in.

    Raises Unauthorized: `session_unknown`, `session_expired`, `key_revoked`, `key_expired`.
    """
    row = _find(context, "browser", cookie)
    if row is None:
        raise Unauthorized("session_unknown", "you are signed out; sign in again")
    now_ms = context.clock.now_ms()
    if row.expires_ms <= now_ms:
        raise Unauthorized("session_expired", "your session has expired; sign in again")
    return principal_of_stored(row.key, now_ms)


def close_session(context: Context, cookie: str) -> None:
    """Signs out; a cookie that is no session is no error."""
    with writing(context.engine) as connection:
        stored.delete_session(connection, _hash(context, "browser", cookie))


def _store(context: Context, kind: str, key_id: str, lifetime_ms: int) -> str:
    token = secrets.token_urlsafe(32)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        stored.delete_ended_sessions(connection, now_ms - _KEEP_ENDED_MS)
        stored.insert_session(
            connection,
            hash=_hash(context, kind, token),
            kind=kind,
            key_id=key_id,
            created_ms=now_ms,
            expires_ms=now_ms + lifetime_ms,
        )
    return token


def _find(context: Context, kind: str, token: str) -> stored.StoredSession | None:
    """By hash: the index is searched with what an attacker cannot steer towards a row."""
    sought = _hash(context, kind, token)
    with reading(context.engine) as connection:
        row = stored.find_session(connection, sought)
    matches = row is not None and row.kind == kind and hmac.compare_digest(row.hash, sought)
    return row if matches else None


def _hash(context: Context, kind: str, token: str) -> bytes:
    return hash_secret(context.settings, f"{kind}:{token}")
