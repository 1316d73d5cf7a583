"""Signing in with a link or a key, staying signed in, signing out."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from carbon.auth.keys import create_key, revoke_key
from carbon.auth.sessions import (
    LINK_MS,
    SESSION_MS,
    close_session,
    make_sign_in_link,
    open_session,
    open_session_of_key,
    principal_of_session,
)
from carbon.clock import FakeClock
from carbon.domain.tenancy import TEAM_SCOPES
from carbon.errors import Unauthorized
from carbon.services.context import Context
from carbon.storage.engine import reading
from carbon.storage.keys import session


@pytest.fixture
def key(context: Context) -> tuple[str, str]:
    return create_key(context, "ada", "vision", TEAM_SCOPES)


@pytest.fixture
def cookie(context: Context, key: tuple[str, str]) -> str:
    return open_session(context, make_sign_in_link(context, key[1]))


def refusal(context: Context, cookie: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        principal_of_session(context, cookie)
    return refused.value.code


def link_refusal(context: Context, token: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        open_session(context, token)
    return refused.value.code


def test_a_link_signs_in_with_the_rights_of_its_key(
    context: Context, key: tuple[str, str], cookie: str
) -> None:
    principal = principal_of_session(context, cookie)
    assert (principal.key_id, principal.team) == (key[1], "vision")
    assert principal.scopes == TEAM_SCOPES


def test_a_link_works_once(context: Context, key: tuple[str, str]) -> None:
    token = make_sign_in_link(context, key[1])
    open_session(context, token)
    assert link_refusal(context, token) == "link_unknown"


def test_a_link_ends_after_a_day(context: Context, key: tuple[str, str], clock: FakeClock) -> None:
    token = make_sign_in_link(context, key[1])
    clock.advance(LINK_MS / 1000)
    assert link_refusal(context, token) == "link_expired"


def test_a_link_of_a_revoked_key_opens_nothing(context: Context, key: tuple[str, str]) -> None:
    token = make_sign_in_link(context, key[1])
    revoke_key(context, key[1])
    assert link_refusal(context, token) == "link_unknown"


def test_a_session_lasts_thirty_days_to_the_millisecond(
    context: Context, cookie: str, clock: FakeClock
) -> None:
    clock.advance((SESSION_MS - 1) / 1000)
    principal_of_session(context, cookie)
    clock.advance(0.001)
    assert refusal(context, cookie) == "session_expired"


def test_a_key_opens_a_session_too(context: Context, key: tuple[str, str]) -> None:
    opened = open_session_of_key(context, key[0])
    assert principal_of_session(context, opened).key_id == key[1]


def test_signing_out_ends_this_session_alone(
    context: Context, key: tuple[str, str], cookie: str
) -> None:
    other = open_session_of_key(context, key[0])
    close_session(context, cookie)
    close_session(context, cookie)
    assert refusal(context, cookie) == "session_unknown"
    principal_of_session(context, other)


def test_revoking_a_key_ends_its_sessions(
    context: Context, key: tuple[str, str], cookie: str
) -> None:
    revoke_key(context, key[1])
    assert refusal(context, cookie) == "session_unknown"


def test_a_session_ends_with_its_key(context: Context, clock: FakeClock) -> None:
    text, _ = create_key(context, "guest", "vision", TEAM_SCOPES, clock.now_ms() + 1000)
    cookie = open_session_of_key(context, text)
    clock.advance(1)
    assert refusal(context, cookie) == "key_expired"


@pytest.mark.parametrize("cookie", ["", "x", "🙂" * 40, "a" * 5000])
def test_what_is_no_session_is_unknown(context: Context, cookie: str) -> None:
    assert refusal(context, cookie) == "session_unknown"


def test_a_link_is_no_session_and_a_session_no_link(
    context: Context, key: tuple[str, str], cookie: str
) -> None:
    assert refusal(context, make_sign_in_link(context, key[1])) == "session_unknown"
    assert link_refusal(context, cookie) == "link_unknown"


def test_the_store_holds_hashes_alone(context: Context, cookie: str) -> None:
    with reading(context.engine) as connection:
        rows = connection.execute(select(session)).all()
    assert rows
    assert all(cookie not in repr(row) and cookie.encode() not in row.hash for row in rows)


def test_sessions_that_ended_long_ago_are_swept_when_the_next_opens(
    context: Context, key: tuple[str, str], cookie: str, clock: FakeClock
) -> None:
    clock.advance(SESSION_MS / 1000 + 8 * 86_400)
    make_sign_in_link(context, key[1])
    with reading(context.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(session)) == 1
    assert refusal(context, cookie) == "session_unknown"
