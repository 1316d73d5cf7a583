"""Join tokens: with one a machine gets a key of its own, so that no long-lived key has to travel
to a new host by hand. A token is good for a number of machines and for a time."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from sqlalchemy import Connection

from carbon.auth.key_text import KeyText, Prefix
from carbon.auth.keys import forget_key, insert_key
from carbon.auth.pepper import hash_secret
from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import AGENT_SCOPES
from carbon.errors import InvalidInput, NotFound, Unauthorized
from carbon.services.context import Context
from carbon.storage import audit, keys
from carbon.storage import join_tokens as stored
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities, team_id
from carbon.storage.join_tokens import Join, StoredToken
from carbon.wire.durations import parse_duration_ms
from carbon.wire.joining import (
    JoinAnswer,
    JoinBody,
    JoinedHost,
    TokenAnswer,
    TokenBody,
    TokenList,
)

TOKEN_MADE = "join_token.made"
TOKEN_REVOKED = "join_token.revoked"
HOST_JOINED = "host.joined"


def make_token(context: Context, principal: Principal, body: TokenBody) -> TokenAnswer:
    """The token's text is told here and never again: the store keeps its HMAC alone.

    Raises InvalidInput (`invalid_duration`, `token_never_holds`).
    """
    lasts_ms = parse_duration_ms(body.expires_in)
    if not lasts_ms:
        raise InvalidInput("token_never_holds", "a join token must expire in the future")
    now_ms = context.clock.now_ms()
    text = KeyText.generate(Prefix.JOIN_TOKEN)
    with writing(context.engine) as connection:
        stored.insert_token(
            connection,
            id=text.key_id,
            name=body.name,
            hmac=_hmac(context, text),
            team_id=team_id(connection, body.team or principal.team, now_ms),
            uses_left=body.uses,
            created_ms=now_ms,
            expires_ms=now_ms + lasts_ms,
        )
        told = {"uses": body.uses, "expires_ms": now_ms + lasts_ms}
        audit.append(connection, now_ms, principal.key_id, TOKEN_MADE, text.key_id, told)
        token = _found(connection, text.key_id)
    return _answer(token, (), now_ms, str(text))


def list_tokens(context: Context) -> TokenList:
    """Oldest first, each with the hosts that joined by it."""
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        tokens, joins = stored.all_tokens(connection), stored.all_joins(connection)
    return TokenList([_answer(token, joins, now_ms) for token in tokens])


def revoke_token(context: Context, principal: Principal, token_id: str) -> TokenAnswer:
    """Ends a token, at once and for good; keys that it gave stay. Again is the same.

    Raises NotFound(`unknown_token`).
    """
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        known = stored.find_token(connection, token_id)
        if known is None:
            raise NotFound("unknown_token", f"no join token {token_id!r}")
        stored.revoke_token(connection, token_id, now_ms)
        if known.revoked_ms is None:
            audit.append(connection, now_ms, principal.key_id, TOKEN_REVOKED, token_id, {})
        joins = stored.all_joins(connection)
        return _answer(_found(connection, token_id), joins, now_ms)


def join_host(context: Context, body: JoinBody) -> JoinAnswer:
    """An agent's key for a machine that shows a token, and the machine in the inventory.

    The same attempt again gets a fresh key in the place of the first, whose answer was lost.
    Raises Unauthorized: `token_malformed`, `token_unknown`, `token_revoked`, `token_expired`,
    `token_spent`.
    """
    given = KeyText.parse(body.token, Prefix.JOIN_TOKEN)
    attempt = hash_secret(context.settings, f"attempt:{body.attempt or secrets.token_hex(16)}")
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        token = stored.find_token(connection, given.key_id)
        if token is None or not hmac.compare_digest(token.hmac, _hmac(context, given)):
            raise Unauthorized("token_unknown", "this service knows no such join token")
        before = stored.find_join(connection, token.id, attempt)
        _check(token, now_ms)
        if before is None and not stored.spend(connection, token.id):
            raise Unauthorized(
                "token_spent",
                f"the join token {token.id} was used up; make another: carbon host token",
            )
        name = f"agent of {body.host}"
        text, key_id = insert_key(context, connection, name, token.team_id, AGENT_SCOPES)
        if before is None:
            Identities(connection, now_ms, {}).host(body.host)
            stored.insert_join(connection, attempt, Join(token.id, body.host, key_id, now_ms))
        else:
            stored.change_key(connection, token.id, attempt, key_id)
            keys.revoke(connection, before.key_id, now_ms)
        audit.append(connection, now_ms, token.id, HOST_JOINED, key_id, {})
    if before is not None:
        forget_key(context, before.key_id)
    return JoinAnswer(text, key_id, body.host, token.team)


def _check(token: StoredToken, now_ms: int) -> None:
    if token.revoked_ms is not None:
        raise Unauthorized("token_revoked", f"the join token {token.id} was revoked")
    if token.expires_ms <= now_ms:
        raise Unauthorized(
            "token_expired",
            f"the join token {token.id} has expired; make another: carbon host token",
        )


def _found(connection: Connection, token_id: str) -> StoredToken:
    token = stored.find_token(connection, token_id)
    assert token is not None, "within one transaction"
    return token


def _answer(
    token: StoredToken, joins: Sequence[Join], now_ms: int, text: str | None = None
) -> TokenAnswer:
    return TokenAnswer(
        token_id=token.id,
        name=token.name,
        team=token.team,
        state=_state(token, now_ms),
        uses_left=token.uses_left,
        created=to_rfc3339(token.created_ms),
        expires=to_rfc3339(token.expires_ms),
        hosts=[
            JoinedHost(join.host, join.key_id, to_rfc3339(join.at_ms))
            for join in joins
            if join.token_id == token.id
        ],
        token=text,
    )


def _state(token: StoredToken, now_ms: int) -> str:
    if token.revoked_ms is not None:
        return "revoked"
    if token.expires_ms <= now_ms:
        return "expired"
    return "open" if token.uses_left else "spent"


def _hmac(context: Context, text: KeyText) -> bytes:
    return hash_secret(context.settings, f"join:{text.key_id}:{text.secret}")
