"""How a machine joins: a token, once or so many times, for a while; and never a key by any other
way."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, Service, an_hour, batch, refused

from carbon.clock import FakeClock

TRY = "0123456789abcdef"


def made(admin: TestClient, **members: object) -> dict[str, Any]:
    answer = admin.post("/v1/hosts/tokens", json=members)
    assert answer.status_code == 201, answer.text
    token: dict[str, Any] = answer.json()
    return token


def join(service: Service, token: str, host: str = "rack-7", **members: object) -> Any:
    body = {"token": token, "host": host, **members}
    return service.stranger.post("/v1/hosts/join", json=body)


def test_a_token_becomes_a_key_that_writes_energy_and_reads_nothing(service: Service) -> None:
    answer = join(service, made(service.admin)["token"])
    assert answer.status_code == 201
    told = answer.json()
    assert (told["host"], told["team"]) == ("rack-7", "default")
    agent = service.with_key(told["key"])
    assert agent.post("/v1/energy", json=batch(an_hour())).json()["accepted"] == 1
    refused(agent.get("/v1/workloads"), 403, "scope_missing")
    refused(agent.get("/v1/hosts/tokens"), 403, "scope_missing")


def test_a_machine_that_joined_stands_in_the_inventory(service: Service) -> None:
    join(service, made(service.admin)["token"])
    hosts = service.admin.get("/v1/hosts").json()["hosts"]
    assert [host["name"] for host in hosts] == ["rack-7"]


def test_a_token_is_good_for_one_machine_unless_it_says_more(service: Service) -> None:
    once, thrice = made(service.admin), made(service.admin, uses=3)
    assert join(service, once["token"]).status_code == 201
    refused(join(service, once["token"], "rack-8"), 401, "token_spent")
    keys = {join(service, thrice["token"], f"rack-{n}").json()["key"] for n in range(3)}
    assert len(keys) == 3
    refused(join(service, thrice["token"], "rack-9"), 401, "token_spent")


def test_a_joining_whose_answer_was_lost_costs_no_further_use(service: Service) -> None:
    """And the key that nobody heard of is none any more."""
    token = made(service.admin)["token"]
    lost = join(service, token, attempt=TRY).json()["key"]
    heard = join(service, token, attempt=TRY).json()["key"]
    body = batch(an_hour())
    refused(service.with_key(lost).post("/v1/energy", json=body), 401, "key_revoked")
    assert service.with_key(heard).post("/v1/energy", json=body).status_code == 202
    refused(join(service, token, attempt=TRY[::-1]), 401, "token_spent")
    (listed,) = service.admin.get("/v1/hosts/tokens").json()["tokens"]
    assert len(listed["hosts"]) == 1


def test_a_token_ends_with_its_time(service: Service, clock: FakeClock) -> None:
    token = made(service.admin, expires_in="1h")
    clock.advance(HOUR / 1000 - 1)
    assert join(service, token["token"], attempt=TRY).status_code == 201
    clock.advance(1)
    refused(join(service, token["token"], attempt=TRY), 401, "token_expired")


def test_a_token_ends_when_it_is_revoked_and_its_keys_stay(service: Service) -> None:
    token = made(service.admin, uses=2)
    key = join(service, token["token"]).json()["key"]
    path = f"/v1/hosts/tokens/{token['token_id']}"
    assert service.admin.delete(path).json()["state"] == "revoked"
    assert service.admin.delete(path).status_code == 200
    refused(join(service, token["token"], "rack-8"), 401, "token_revoked")
    assert service.with_key(key).post("/v1/energy", json=batch(an_hour())).status_code == 202
    refused(service.admin.delete("/v1/hosts/tokens/aaaaaaaaaaaa"), 404, "unknown_token")


def test_what_is_no_token_of_ours_opens_nothing(service: Service) -> None:
    token = made(service.admin)["token"]
    stranger = made_elsewhere(token)
    refused(join(service, token[:-1]), 401, "token_malformed")
    refused(join(service, service.key("red")[0]), 401, "token_malformed")
    refused(join(service, stranger), 401, "token_unknown")
    refused(service.with_key(token).get("/v1/workloads"), 401, "key_malformed")


def made_elsewhere(token: str) -> str:
    """The id of ours with another secret, and a checksum that holds."""
    from carbon.auth.key_text import KeyText, Prefix

    known = KeyText.parse(token, Prefix.JOIN_TOKEN)
    return str(KeyText(known.key_id, "x" * 43, Prefix.JOIN_TOKEN))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"uses": 0}, "invalid_body"),
        ({"uses": 1.5}, "invalid_body"),
        ({"name": ""}, "invalid_body"),
        ({"expires": "1h"}, "invalid_body"),
        ({"expires_in": "soon"}, "invalid_duration"),
        ({"expires_in": "0s"}, "token_never_holds"),
        ({"expires_in": "99999d"}, "invalid_duration"),
    ],
)
def test_a_token_that_cannot_be_meant_is_refused(
    admin: TestClient, members: dict[str, object], code: str
) -> None:
    refused(admin.post("/v1/hosts/tokens", json=members), 422, code)


@pytest.mark.parametrize("body", [{}, {"token": "x"}, {"token": "x", "host": ""}])
def test_a_joining_that_cannot_be_meant_is_refused(
    service: Service, body: dict[str, object]
) -> None:
    refused(service.stranger.post("/v1/hosts/join", json=body), 422, "invalid_body")


def test_only_an_administrator_makes_and_sees_tokens(team: TestClient) -> None:
    refused(team.post("/v1/hosts/tokens", json={}), 403, "scope_missing")
    refused(team.get("/v1/hosts/tokens"), 403, "scope_missing")
    refused(team.delete("/v1/hosts/tokens/aaaaaaaaaaaa"), 403, "scope_missing")


def test_a_list_tells_who_joined_and_no_secret(service: Service) -> None:
    token = made(service.admin, name="rack 7", uses=2, team="red")
    key_id = join(service, token["token"]).json()["key_id"]
    answer = service.admin.get("/v1/hosts/tokens")
    (listed,) = answer.json()["tokens"]
    assert (listed["name"], listed["team"], listed["state"]) == ("rack 7", "red", "open")
    assert listed["uses_left"] == 1
    assert [(h["host"], h["key_id"]) for h in listed["hosts"]] == [("rack-7", key_id)]
    assert token["token"] not in answer.text


def test_the_audit_log_knows_who_made_and_who_joined(service: Service) -> None:
    token = made(service.admin)
    join(service, token["token"])
    service.admin.delete(f"/v1/hosts/tokens/{token['token_id']}")
    actions = [entry["action"] for entry in service.admin.get("/v1/audit").json()["entries"]]
    assert actions == ["join_token.made", "host.joined", "join_token.revoked"]
    assert service.admin.get("/v1/audit/verify").json()["intact"]
