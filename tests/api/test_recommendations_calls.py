"""/v1/recommendations: planted waste is named, ranked, dismissed and followed up."""

from __future__ import annotations

from typing import Any

import pytest
from arms import comparison, send_arms, windows
from fastapi.testclient import TestClient
from ledger import NOON_MS, interval
from service import HOUR, MINUTE, Service, T, batch, refused

from carbon.clock import FakeClock, to_rfc3339

HOURS = 28
START = NOON_MS - HOURS * HOUR
MJ_PER_WH = 3_600_000
MODEL = "NVIDIA H100 80GB HBM3"


def hour(n: int, watts: float, device: str, **others: Any) -> dict[str, Any]:
    at = START + n * HOUR
    return interval(at, at + HOUR, round(watts * MJ_PER_WH), device, **others)


def grid() -> dict[str, Any]:
    """Clean at noon, dirty at night; known for a day beyond now."""
    points = [
        {
            "start_ms": START + n * HOUR,
            "end_ms": START + (n + 1) * HOUR,
            "g_per_kwh": 500.0 if n % 24 < 18 else 100.0,
        }
        for n in range(HOURS)
    ]
    return {"source": "meter", "published_at": to_rfc3339(NOON_MS), "points": points}


def plant(admin: TestClient) -> None:
    """In order of what each wastes: a reserved GPU that idles, jobs at the dirty hours, a GPU
    that is far too large; beside a workload without fault."""
    hours = range(HOURS)
    sent = [
        *(hour(n, 90, "gpu-idle", workload=None, subject="idle") for n in hours if n % 24),
        *(hour(n, 700, "gpu-idle", workload="holder") for n in hours if not n % 24),
        *(hour(n, 60, "gpu-large", workload="small", run="always") for n in hours if not n % 24),
        *(hour(n, 100, "gpu-large", workload="small", run="always") for n in hours if n % 24),
        *(hour(n, 520, "gpu-night", workload="nightly", run="n2") for n in (2, 3)),
        *(hour(n, 690 - n % 7, "gpu-good", workload="good", run="busy") for n in hours),
    ]
    body = batch(
        *sent,
        zone="DE",
        devices=[{"device": f"gpu-{d}", "kind": "gpu", "model": MODEL}
                 for d in ("idle", "large", "night", "good")],
        reservations=[{"device": "gpu-idle", "workload": "holder", "start_ms": START,
                       "end_ms": NOON_MS, "share_ppm": 1_000_000}],
    )  # fmt: skip
    assert admin.post("/v1/intensity/DE", json=grid()).status_code < 300
    answer = admin.post("/v1/energy", json=body)
    assert (answer.status_code, answer.json()["rejected"]) == (202, []), answer.text


def found(client: TestClient, state: str = "open") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/recommendations?state={state}")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["recommendations"]
    return listed


def test_planted_waste_is_named_dismissed_and_followed_up(
    service: Service, admin: TestClient, team: TestClient, clock: FakeClock
) -> None:
    plant(admin)
    told = found(admin)
    named = [(one["kind"], one["workload"]) for one in told]
    assert named[:3] == [
        ("idle_reservation", "default/holder"),
        ("low_utilisation", "default/small"),
        ("could_have_waited", "default/nightly"),
    ]
    assert "default/good" not in {workload for _, workload in named}
    idle, _, waited = told[:3]
    assert idle["low"] < idle["saving_g"] <= idle["high"]
    assert idle["evidence"]["idle_hours"] == pytest.approx(HOURS - 2)
    assert (idle["device"], idle["technique"]) == ("gpu-idle", "scaling")
    assert waited["evidence"]["runs"] == 1
    assert waited["high"] == pytest.approx(2 * 0.52 * 400)  # from 500 to 100 g/kWh

    path = f"/v1/recommendations/{idle['id']}"
    done = admin.patch(path, json={"state": "dismissed", "reason": "a demo"}).json()
    assert (done["state"], done["reason"]) == ("dismissed", "a demo")
    assert [one["id"] for one in found(admin)] == [one["id"] for one in told[1:]]
    assert [one["id"] for one in found(admin, "dismissed")] == [idle["id"]]
    assert admin.patch(path, json={"state": "open"}).json()["state"] == "open"
    assert found(admin)[0]["id"] == idle["id"]

    refused(admin.patch(path, json={"state": "magic"}), 422, "invalid_body")
    refused(team.patch(path, json={"state": "open"}), 404, "unknown_recommendation")
    assert found(team) == []

    adopted = admin.patch(path, json={"state": "adopted"}).json()["follow_up"]
    assert adopted["before_g_per_day"] > 0
    assert adopted["after_g_per_day"] is None
    clock.advance(2 * 24 * 3600)
    (later,) = found(admin, "adopted")
    assert later["follow_up"] == {**adopted, "after_g_per_day": 0.0}


def test_what_was_dismissed_stays_so_as_days_pass(admin: TestClient, clock: FakeClock) -> None:
    plant(admin)
    idle, *others = found(admin)
    admin.patch(f"/v1/recommendations/{idle['id']}", json={"state": "dismissed"})
    clock.advance(3 * 24 * 3600)
    told = {one["id"]: one["state"] for one in found(admin, "all")}
    assert told[idle["id"]] == "dismissed"
    assert {told[one["id"]] for one in others} == {"open"}


STATED = [
    # (configs of both arms, changed, whether fp32 is named)
    ({"precision": "fp32"}, {"precision": "fp32"}, {}, True),
    # int8 saved, and is what one goes on with
    ({"precision": "fp32"}, {"precision": "int8"}, {}, False),
    # it saved and did harm: one goes on with fp32
    ({"precision": "fp32"}, {"precision": "int8"}, {"gates": {"quality_loss": 0.01}}, True),
    ({"batch": 1}, {"batch": 2}, {}, False),
]


@pytest.mark.parametrize(("before", "after", "changed", "named"), STATED)
def test_full_precision_is_named_where_the_newest_experiment_states_it(
    admin: TestClient, before: Any, after: Any, changed: Any, named: bool
) -> None:
    send_arms(admin)
    device = {"device": "gpu-0", "kind": "gpu", "model": MODEL}
    body = batch(interval(T - MINUTE, T, 1, "gpu-0"), devices=[device], zone="DE", seq=9)
    assert admin.post("/v1/energy", json=body).status_code == 202
    asked = comparison()
    for arm, config in (("baseline", before), ("treatment", after)):
        asked[arm]["config"] = config
    assert admin.post("/v1/experiments", json={**asked, **changed}).json()["verdict"] == "saves"
    kinds = {one["kind"]: one for one in found(admin)}
    assert ("full_precision" in kinds) is named
    if named:
        assert kinds["full_precision"]["technique"] == "mixed_precision"


def test_where_less_precision_was_shown_to_cost_more_it_is_not_suggested(admin: TestClient) -> None:
    """The treatment of these arms draws more: the same blocks the other way round."""
    send_arms(admin)
    device = {"device": "gpu-0", "kind": "gpu", "model": MODEL}
    body = batch(interval(T - MINUTE, T, 1, "gpu-0"), devices=[device], zone="DE", seq=9)
    assert admin.post("/v1/energy", json=body).status_code == 202
    asked = comparison()
    asked["baseline"]["blocks"], asked["treatment"]["blocks"] = windows(1), windows(0)
    for arm, precision in (("baseline", "fp32"), ("treatment", "bf16")):
        asked[arm]["config"] = {"precision": precision}
    assert admin.post("/v1/experiments", json=asked).json()["verdict"] == "costs"
    assert "full_precision" not in {one["kind"] for one in found(admin)}


def test_what_cannot_be_meant_is_refused(service: Service, admin: TestClient) -> None:
    refused(admin.get("/v1/recommendations?state=magic"), 422, "unknown_state")
    unknown = admin.patch("/v1/recommendations/rec_0", json={"state": "open"})
    refused(unknown, 404, "unknown_recommendation")
    refused(service.stranger.get("/v1/recommendations"), 401, "key_missing")
    assert admin.get("/v1/recommendations").json()["not_seen"]
