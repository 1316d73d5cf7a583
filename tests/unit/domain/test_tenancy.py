"""Workload names, and what a key may do and see."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.domain.tenancy import (
    ADMIN_SCOPES,
    AGENT_SCOPES,
    TEAM_SCOPES,
    Scope,
    WorkloadName,
    parse_workload,
)
from carbon.errors import Forbidden, InvalidInput, NotFound


def is_plain(text: str) -> bool:
    """No reserved name, no dots alone, no blank at its end, and one spelling of each letter."""
    return (
        text != "sci"
        and bool(text.strip("."))
        and not text.endswith(" ")
        and unicodedata.is_normalized("NFC", text)
    )


parts = st.from_regex(r"[\w.:@+-][\w.:@+ -]{0,98}", fullmatch=True).filter(is_plain)


@given(parts, parts)
def test_a_full_name_is_read_as_it_is_written(team: str, name: str) -> None:
    assert parse_workload(f"{team}/{name}", "own") == WorkloadName(team, name)


@given(parts)
def test_a_bare_name_is_the_own_team_s(name: str) -> None:
    assert str(parse_workload(name, "own")) == f"own/{name}"


@given(st.text(max_size=120))
def test_any_text_is_a_name_or_refused_and_never_anything_else(text: str) -> None:
    try:
        name = parse_workload(text, "own")
    except InvalidInput:
        return
    assert "/" not in name.team + name.name
    assert "\0" not in name.team + name.name
    assert parse_workload(str(name), "other") == name


TOO_LONG = "x" * 100


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/b", "a/b/c", "a//b", "sci", "a/sci", TOO_LONG, f"{TOO_LONG}/y"),
        *(" a", "a\nb", "a/b\n", "a\0", "a?b", "a%2fb", "a\\b", "<b>", "a#b"),
    ],
)
def test_what_no_path_could_carry_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_workload(text, "own")
    assert caught.value.code == "invalid_workload"


@pytest.mark.parametrize("text", ["chat", "llm-7b", "Größe", "a.b:c@d+e_f", "two words", "x" * 99])
def test_ordinary_names_are_good(text: str) -> None:
    assert parse_workload(text, "own").name == text


def key(scopes: frozenset[Scope], team: str = "blue") -> Principal:
    return Principal("k", "n", team, scopes)


def test_another_team_s_workload_is_not_found_and_not_forbidden() -> None:
    with pytest.raises(NotFound) as caught:
        key(TEAM_SCOPES).workload("red/w")
    assert caught.value.code == "unknown_workload"
    assert key(TEAM_SCOPES).workload("blue/w") == WorkloadName("blue", "w")
    assert key(ADMIN_SCOPES).workload("red/w") == WorkloadName("red", "w")


@pytest.mark.parametrize("scope", Scope)
def test_a_key_without_a_scope_is_refused_by_its_name(scope: Scope) -> None:
    key(ADMIN_SCOPES).require(scope)
    with pytest.raises(Forbidden) as caught:
        key(ADMIN_SCOPES - {scope}).require(scope)
    assert caught.value.code == "scope_missing"
    assert str(scope) in caught.value.detail


def test_scopes_rank_the_meters_of_what_a_key_sends() -> None:
    assert key(AGENT_SCOPES).meter_kind is MeterKind.AGENT
    assert key(frozenset({Scope.ENERGY_IMPORT})).meter_kind is MeterKind.IMPORTER
    assert key(TEAM_SCOPES).meter_kind is MeterKind.TRACKER


def test_a_team_s_key_rules_its_team_and_an_agent_s_reads_nothing() -> None:
    assert not TEAM_SCOPES & {Scope.ALL_TEAMS, Scope.KEYS_ADMIN, Scope.HOSTS_WRITE}
    assert Scope.REPORTS_READ not in AGENT_SCOPES
    assert frozenset(Scope) == ADMIN_SCOPES
