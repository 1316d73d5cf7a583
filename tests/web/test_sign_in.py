"""Signing in and out in a browser, and what other sites cannot do with it."""

from __future__ import annotations

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from carbon.auth.keys import create_key
from carbon.auth.sessions import SESSION_COOKIE, make_sign_in_link
from carbon.domain.tenancy import AGENT_SCOPES, TEAM_SCOPES
from carbon.services.context import Context
from carbon.web.browser import safe_next


@pytest.fixture
def stranger(day: Context) -> TestClient:
    return browser(day)


def test_a_stranger_is_led_to_sign_in_and_back_to_the_same_view(
    day: Context, stranger: TestClient
) -> None:
    asked = stranger.get("/?zone=FR")
    assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2F%3Fzone%3DFR")
    form = stranger.get(asked.headers["location"])
    assert 'value="/?zone=FR"' in form.text
    key = generated_day.admin_key(day)
    done = stranger.post("/sign-in", data={"key": f" {key} ", "next": "/?zone=FR"})
    assert (done.status_code, done.headers["location"]) == (303, "/?zone=FR")
    assert stranger.get("/?zone=FR").status_code == 200


def test_the_printed_link_signs_in_once(day: Context, stranger: TestClient) -> None:
    _, key_id = create_key(day, "ada", "vision", TEAM_SCOPES)
    link = f"/sign-in?token={make_sign_in_link(day, key_id)}"
    done = stranger.get(link)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert stranger.get("/").status_code == 200
    again = browser(day).get(link)
    assert again.status_code == 401
    assert "used before" in again.text


def test_the_cookie_is_kept_from_scripts_and_other_sites(
    day: Context, stranger: TestClient
) -> None:
    answer = stranger.post("/sign-in", data={"key": generated_day.admin_key(day)})
    cookie = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=lax", "path=/", "max-age=2592000"):
        assert part in cookie
    assert "secure" not in cookie  # plain http on loopback; over https it is


@pytest.mark.parametrize("key", ["", "ck_nonsense", "🙂"])
def test_a_wrong_key_is_told_on_the_form(stranger: TestClient, key: str) -> None:
    answer = stranger.post("/sign-in", data={"key": key, "next": "/?zone=FR"})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert 'value="/?zone=FR"' in answer.text
    assert "set-cookie" not in answer.headers


def test_a_session_that_is_gone_says_so(stranger: TestClient) -> None:
    stranger.cookies.set(SESSION_COOKIE, "gone")
    asked = stranger.get("/")
    assert asked.headers["location"] == "/sign-in?next=%2F&why=session_unknown"
    assert "You were signed out" in stranger.get(asked.headers["location"]).text


def test_the_data_of_the_page_needs_a_session_too(stranger: TestClient) -> None:
    answer = stranger.get("/web/overview.json")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")


def test_a_key_that_may_not_read_sees_no_figures(day: Context) -> None:
    text, _ = create_key(day, "agent", "vision", AGENT_SCOPES)
    answer = browser(day, text).get("/")
    assert answer.status_code == 403
    assert "reports:read" in answer.text


def test_signing_out_ends_the_session_and_not_only_the_cookie(day: Context) -> None:
    client = browser(day, generated_day.admin_key(day))
    cookie = client.cookies[SESSION_COOKIE]
    assert "signed out" in client.post("/sign-out").text
    assert SESSION_COOKIE not in client.cookies
    thief = browser(day)
    thief.cookies.set(SESSION_COOKIE, cookie)
    assert thief.get("/").status_code == 303


def test_looking_at_the_sign_out_page_does_not_sign_out(admin: TestClient) -> None:
    assert admin.get("/sign-out").status_code == 200
    assert admin.get("/").status_code == 200


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://127.0.0.1:8000"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_form_of_another_site_does_nothing(
    day: Context, path: str, headers: dict[str, str], is_own: bool
) -> None:
    client = browser(day)
    del client.headers["Sec-Fetch-Site"]
    answer = client.post(path, data={"key": "x"}, headers=headers)
    assert (answer.status_code != 403) is is_own
    if not is_own:
        assert "cross_origin" in answer.text


def test_a_form_too_large_is_refused_before_it_is_read(stranger: TestClient) -> None:
    assert stranger.post("/sign-in", content=b"key=" + b"a" * 10_000).status_code == 413


def test_a_form_that_is_no_form_is_refused(stranger: TestClient) -> None:
    assert stranger.post("/sign-in", content=b"\xff\xfe").status_code == 400


@given(st.text(max_size=40) | st.sampled_from(["//evil.example", "/\\evil", "https://evil"]))
def test_signing_in_never_leads_off_this_service(target: str) -> None:
    path = safe_next(target)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\", "/sign-"))
    assert all(character >= " " for character in path)


@pytest.mark.parametrize("path", ["/", "/?zone=DE", "/workloads/vision?start=1#top"])
def test_a_view_of_this_service_is_returned_to(path: str) -> None:
    assert safe_next(path) == path
