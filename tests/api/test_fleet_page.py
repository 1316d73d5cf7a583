"""The fleet's screen over the whole application: what senders tell of themselves stands there."""

from __future__ import annotations

from typing import Any

from fastapi.testclient import TestClient
from service import an_hour, batch, refused


def senders(admin: TestClient) -> dict[str, Any]:
    return {one["name"]: one for one in admin.get("/web/fleet.json").json()["senders"]}


def test_what_waits_in_spools_is_told_by_sender_and_in_all(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour(), source="agent@a", spooled=7))
    admin.post("/v1/energy", json=batch(an_hour(device="gpu-1"), source="agent@b", spooled=0))
    admin.post("/v1/energy", json=batch(an_hour(device="gpu-2"), source="older"))
    told = {name: one["spooled"] for name, one in senders(admin).items()}
    assert told == {"agent@a": 7, "agent@b": 0, "older": None}
    assert admin.get("/web/fleet.json").json()["spooled"] == 7
    page = admin.get("/fleet").text
    assert 'value="7" data-path="spooled"' in page
    places = {s["name"]: n for n, s in enumerate(admin.get("/web/fleet.json").json()["senders"])}
    assert f'value="7" data-path="senders.{places["agent@a"]}.spooled"' in page


def test_where_no_sender_tells_of_its_spool_nothing_is_said_of_it(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour()))
    assert admin.get("/web/fleet.json").json()["spooled"] is None
    assert 'data-path="spooled"' not in admin.get("/fleet").text


def test_a_spool_that_cannot_be_meant_is_refused(admin: TestClient) -> None:
    for spooled in (-1, 1.5, "7", True):
        answer = admin.post("/v1/energy", json=batch(an_hour(), spooled=spooled))
        refused(answer, 422, "invalid_body")
