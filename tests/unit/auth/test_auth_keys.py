"""What a key proves, and when it stops proving it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from carbon.auth.key_text import KeyText
from carbon.auth.keys import (
    create_key,
    ensure_local_keys,
    list_keys,
    principal_of_key,
    revoke_key,
)
from carbon.auth.pepper import hash_secret
from carbon.clock import FakeClock
from carbon.domain.energy import MeterKind
from carbon.domain.tenancy import ADMIN_SCOPES, AGENT_SCOPES, TEAM_SCOPES, Scope
from carbon.errors import CarbonError, InvalidInput, NotFound, Unauthorized
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import memory_engine, reading
from carbon.storage.keys import api_key
from carbon.storage.names import team
from carbon.storage.tables import metadata


def refusal(context: Context, text: str) -> str:
    with pytest.raises(Unauthorized) as refused:
        principal_of_key(context, text)
    return refused.value.code


def test_a_key_names_its_holder_team_and_rights(context: Context) -> None:
    text, key_id = create_key(context, "ci", "vision", TEAM_SCOPES)
    principal = principal_of_key(context, text)
    assert (principal.key_id, principal.name, principal.team) == (key_id, "ci", "vision")
    assert principal.scopes == TEAM_SCOPES
    assert not principal.sees_all_teams


@given(scopes=st.frozensets(st.sampled_from(Scope)))
@settings(max_examples=25)
def test_a_key_has_the_scopes_it_was_made_with_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, scopes: frozenset[Scope]
) -> None:
    engine = memory_engine()
    metadata.create_all(engine)
    folder = tmp_path_factory.mktemp("scopes")
    context = Context(engine, Settings(data_dir=folder), FakeClock(1))
    text, _ = create_key(context, "k", "t", scopes)
    assert principal_of_key(context, text).scopes == scopes


def test_no_two_keys_verify_each_other(context: Context) -> None:
    keys = [KeyText.parse(create_key(context, f"k{i}", "t", TEAM_SCOPES)[0]) for i in range(12)]
    for own in keys:
        for other in keys:
            mixed = str(KeyText(own.key_id, other.secret))
            if own is other:
                assert principal_of_key(context, mixed).key_id == own.key_id
            else:
                assert refusal(context, mixed) == "key_unknown"


def test_a_well_formed_key_of_another_service_is_unknown(context: Context) -> None:
    assert refusal(context, str(KeyText.generate())) == "key_unknown"


def test_a_wrong_secret_is_refused_also_while_the_right_one_is_remembered(
    context: Context,
) -> None:
    text, key_id = create_key(context, "ci", "vision", TEAM_SCOPES)
    principal_of_key(context, text)
    forged = KeyText(key_id, KeyText.generate().secret)
    assert refusal(context, str(forged)) == "key_unknown"


def test_a_revoked_key_stops_at_once_and_stays_listed(context: Context) -> None:
    text, key_id = create_key(context, "ci", "vision", TEAM_SCOPES)
    principal_of_key(context, text)
    revoke_key(context, key_id)
    revoke_key(context, key_id)
    assert refusal(context, text) == "key_revoked"
    assert [key.revoked_ms is not None for key in list_keys(context)] == [True]


def test_the_first_moment_of_revocation_stays(context: Context, clock: FakeClock) -> None:
    _, key_id = create_key(context, "ci", "vision", TEAM_SCOPES)
    revoke_key(context, key_id)
    first = list_keys(context)[0].revoked_ms
    clock.advance(60)
    revoke_key(context, key_id)
    assert list_keys(context)[0].revoked_ms == first


def test_another_process_notices_a_revocation_within_five_seconds(
    context: Context, clock: FakeClock
) -> None:
    text, _ = create_key(context, "ci", "vision", TEAM_SCOPES)
    principal_of_key(context, text)
    with context.engine.begin() as connection:  # as another process would: past the memory
        connection.execute(api_key.update().values(revoked_ms=1))
    clock.advance(5.001)
    assert refusal(context, text) == "key_revoked"


def test_a_key_expires_to_the_millisecond_though_it_is_remembered(
    context: Context, clock: FakeClock
) -> None:
    text, _ = create_key(context, "ci", "vision", TEAM_SCOPES, clock.now_ms() + 2_000)
    principal_of_key(context, text)
    clock.advance(1.999)
    principal_of_key(context, text)
    clock.advance(0.001)
    assert refusal(context, text) == "key_expired"


def test_a_key_that_would_never_hold_is_not_made(context: Context, clock: FakeClock) -> None:
    with pytest.raises(InvalidInput, match="future"):
        create_key(context, "ci", "vision", TEAM_SCOPES, clock.now_ms())


def test_revoking_what_is_no_key_says_so(context: Context) -> None:
    with pytest.raises(NotFound, match="carbon key list"):
        revoke_key(context, "nosuchkey")


def test_keys_are_listed_by_team_oldest_first_and_without_their_secret(
    context: Context, clock: FakeClock
) -> None:
    for name, of in [("a", "vision"), ("b", "speech"), ("c", "vision")]:
        create_key(context, name, of, TEAM_SCOPES)
        clock.advance(1)
    assert [key.name for key in list_keys(context)] == ["a", "b", "c"]
    assert [key.name for key in list_keys(context, "vision")] == ["a", "c"]
    assert all(key.hmac == b"" for key in list_keys(context))


def test_the_team_of_a_key_is_created_once(context: Context) -> None:
    create_key(context, "a", "vision", TEAM_SCOPES)
    create_key(context, "b", "vision", TEAM_SCOPES)
    with reading(context.engine) as connection:
        assert connection.scalars(select(team.c.name)).all() == ["vision"]


def test_the_store_alone_holds_nothing_to_try_keys_against(context: Context) -> None:
    text, _ = create_key(context, "ci", "vision", TEAM_SCOPES)
    with reading(context.engine) as connection:
        row = connection.execute(select(api_key)).one()
    assert KeyText.parse(text).secret not in repr(row)
    (context.settings.data_dir / "pepper").unlink()
    assert refusal(context, text) == "key_unknown"  # the same row under another pepper


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_pepper_and_local_keys_are_readable_by_the_user_alone(context: Context) -> None:
    ensure_local_keys(context)
    folder = context.settings.data_dir
    assert mode(folder) == 0o700
    assert mode(folder / "pepper") == mode(folder / "keys.json") == 0o600
    assert sorted(p.name for p in folder.iterdir()) == ["keys.json", "pepper"]


def test_a_damaged_pepper_is_an_error_and_not_a_new_pepper(context: Context) -> None:
    hash_secret(context.settings, "x")
    (context.settings.data_dir / "pepper").write_bytes(b"short")
    with pytest.raises(CarbonError, match="pepper"):
        hash_secret(context.settings, "x")


def test_the_local_keys_are_made_once(context: Context) -> None:
    first = ensure_local_keys(context)
    assert ensure_local_keys(context) == first
    admin = principal_of_key(context, first.admin_key)
    agent = principal_of_key(context, first.agent_key)
    assert admin.scopes == ADMIN_SCOPES
    assert agent.scopes == AGENT_SCOPES
    assert agent.meter_kind is MeterKind.AGENT
    assert len(list_keys(context)) == 2


def test_a_revoked_local_key_is_replaced_and_the_other_kept(context: Context) -> None:
    first = ensure_local_keys(context)
    revoke_key(context, principal_of_key(context, first.agent_key).key_id)
    second = ensure_local_keys(context)
    assert second.admin_key == first.admin_key
    assert second.agent_key != first.agent_key
    principal_of_key(context, second.agent_key)


def test_local_keys_of_another_database_are_replaced(context: Context) -> None:
    first = ensure_local_keys(context)
    engine = memory_engine()
    metadata.create_all(engine)
    fresh = Context(engine, context.settings, context.clock)
    second = ensure_local_keys(fresh)
    assert second.admin_key != first.admin_key
    principal_of_key(fresh, second.admin_key)


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"admin_key": 3}'])
def test_a_damaged_file_of_local_keys_is_written_anew(context: Context, content: str) -> None:
    context.settings.data_dir.mkdir(parents=True)
    path = context.settings.data_dir / "keys.json"
    path.write_text(content)
    keys = ensure_local_keys(context)
    assert json.loads(path.read_text())["admin_key"] == keys.admin_key
