"""Corrections: what moves is shown first, has a reason, and can be taken back."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS, Service, T, an_hour, batch, count, refused, vintage

from carbon.clock import to_rfc3339

KWH = 3_600_000_000
REASON = {"reason": "it was misnamed"}


def energy(client: TestClient, workload: str) -> int:
    answer = client.get(f"/v1/workloads/{workload}/sci", params={"unit": "device_hour"})
    return int(answer.json()["energy_mj"]) if answer.status_code == 200 else -1


def grams(client: TestClient) -> float:
    answer = client.get("/v1/workloads/w/sci", params={"unit": "device_hour"})
    return float(answer.json()["operational_g"])


def correct(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/corrections", json={**REASON, **body})
    assert answer.status_code in (200, 201), answer.text
    told: dict[str, Any] = answer.json()
    return told


def undo(client: TestClient, correction: int) -> dict[str, Any]:
    answer = client.post(f"/v1/corrections/{correction}/undo", json={"reason": "wrong"})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.fixture
def drawn(admin: TestClient) -> TestClient:
    """One hour of user ana's on gpu-0, seen as `users/ana`, and one of workload `w`."""
    ana = an_hour(workload="users/ana", subject="user:ana")
    other = an_hour(device="gpu-1")
    assert admin.post("/v1/energy", json=batch(ana, other)).json()["accepted"] == 2
    return admin


def test_a_claim_moves_a_subject_for_a_period(drawn: TestClient) -> None:
    half = to_rfc3339(T + HOUR // 2)
    body = {"kind": "claim", "subject": "user:ana", "workload": "vision/resnet", "start": half}
    tried = correct(drawn, **body, dry_run=True)
    assert (tried["correction"], tried["dry_run"]) == (None, True)
    (move,) = tried["moves"]
    assert (move["before"], move["after"], move["energy_mj"]) == (
        "users/ana",
        "vision/resnet",
        KWH // 2,
    )
    assert energy(drawn, "users/ana") == KWH
    assert drawn.get("/v1/workloads/vision/resnet").status_code == 404
    done = correct(drawn, **body)
    assert done["moves"] == tried["moves"]
    assert (energy(drawn, "users/ana"), energy(drawn, "vision/resnet")) == (KWH // 2, KWH // 2)
    back = undo(drawn, done["correction"])
    assert (back["moves"][0]["before"], back["moves"][0]["energy_mj"]) == (
        "vision/resnet",
        KWH // 2,
    )
    assert (energy(drawn, "users/ana"), energy(drawn, "vision/resnet")) == (KWH, 0)
    again = undo(drawn, back["correction"])
    assert energy(drawn, "vision/resnet") == KWH // 2
    states = [c["is_undone"] for c in drawn.get("/v1/corrections").json()["corrections"]]
    assert states == [False, True, False]
    assert again["correction"] == 3


def test_what_senders_say_later_does_not_outweigh_a_person(drawn: TestClient) -> None:
    correct(drawn, kind="claim", subject="user:ana", workload="vision/resnet")
    later = {
        **an_hour(workload="users/ana", subject="user:ana"),
        "start_ms": T + HOUR,
        "end_ms": T + 2 * HOUR,
    }
    drawn.post("/v1/energy", json=batch(later, seq=2))
    assert energy(drawn, "vision/resnet") == 2 * KWH


def test_a_run_that_is_claimed_is_counted_where_it_went(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour(run="r1")))
    correct(admin, kind="claim", subject="run:default/r1", workload="other")
    runs = admin.get("/v1/workloads/other/sci?unit=run").json()
    assert (runs["count"], runs["energy_mj"]) == (1, KWH)
    assert admin.get("/v1/workloads/w/sci?unit=run").json()["count"] == 0


def test_a_merge_takes_energy_counts_and_the_name_with_it(drawn: TestClient) -> None:
    drawn.post("/v1/units", json={"units": [count(30, workload="w"), count(12, workload="old")]})
    drawn.post("/v1/energy", json=batch(an_hour(device="gpu-2", workload="old"), seq=2))
    body = {"kind": "merge", "workload": "old", "into": "w"}
    assert correct(drawn, **body, dry_run=True)["moves"][0]["energy_mj"] == KWH
    done = correct(drawn, **body)
    answer = drawn.get("/v1/workloads/w/sci?unit=token").json()
    assert (answer["energy_mj"], answer["count"]) == (2 * KWH, 42)
    assert energy(drawn, "old") == 2 * KWH  # its old name leads there
    names = [w["name"] for w in drawn.get("/v1/workloads").json()["workloads"]]
    assert names == ["default/w", "users/ana"]
    late = {**an_hour(device="gpu-2", workload="old"), "start_ms": T + HOUR, "end_ms": T + 2 * HOUR}
    drawn.post("/v1/energy", json=batch(late, seq=3))
    assert energy(drawn, "w") == 3 * KWH
    undo(drawn, done["correction"])
    assert (energy(drawn, "w"), energy(drawn, "old")) == (KWH, 2 * KWH)
    assert drawn.get("/v1/workloads/w/sci?unit=token").json()["count"] == 30


def test_a_mapping_that_loops_is_refused(drawn: TestClient) -> None:
    first = correct(drawn, kind="merge", workload="users/ana", into="w")
    body = {**REASON, "kind": "merge", "workload": "w", "into": "users/ana"}
    refused(drawn.post("/v1/corrections", json=body), 422, "mapping_loops")
    refused(drawn.post("/v1/corrections", json={**body, "into": "w"}), 422, "mapping_loops")
    back = undo(drawn, first["correction"])
    assert drawn.post("/v1/corrections", json=body).status_code == 201
    path = f"/v1/corrections/{back['correction']}/undo"
    refused(drawn.post(path, json=REASON), 422, "mapping_loops")
    assert energy(drawn, "users/ana") == 2 * KWH


def test_a_rename_keeps_what_is_sent_under_the_old_name(drawn: TestClient) -> None:
    done = correct(drawn, kind="rename", workload="w", into="resnet")
    later = {**an_hour(device="gpu-1"), "start_ms": T + HOUR, "end_ms": T + 2 * HOUR}
    drawn.post("/v1/energy", json=batch(later, seq=2))
    assert energy(drawn, "resnet") == energy(drawn, "w") == 2 * KWH
    assert drawn.get("/v1/workloads/resnet").json()["is_named"]
    undo(drawn, done["correction"])
    names = [w["name"] for w in drawn.get("/v1/workloads").json()["workloads"]]
    assert names == ["default/w", "users/ana"]
    body = {**REASON, "kind": "rename", "workload": "w", "into": "users/ana"}
    refused(drawn.post("/v1/corrections", json=body), 409, "workload_exists")


def test_a_host_had_another_zone_and_pue_for_a_time(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour(), host="node1", zone="DE"))
    for zone, g_per_kwh in (("DE", 400.0), ("FR", 50.0)):
        admin.post(f"/v1/intensity/{zone}", json=vintage(g_per_kwh))
    body = {
        "kind": "host",
        "host": "node1",
        "zone": "FR",
        "pue": 2.0,
        "start": to_rfc3339(T),
        "end": to_rfc3339(NOON_MS),
    }
    done = correct(admin, **body)
    assert done["moves"][0]["energy_mj"] == KWH
    assert grams(admin) == pytest.approx(100.0)
    undo(admin, done["correction"])
    assert grams(admin) == pytest.approx(400.0)


def test_a_report_that_speaks_of_what_moves_is_named_and_restated(drawn: TestClient) -> None:
    window = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
    report = drawn.post(
        "/v1/reports", json={**window, "workload": "users/ana", "unit": "device_hour"}
    ).json()["id"]
    half = to_rfc3339(T + HOUR // 2)
    body = {"kind": "claim", "subject": "user:ana", "workload": "vision/resnet", "start": half}
    assert [r["report"] for r in correct(drawn, **body, dry_run=True)["reports"]] == [report]
    assert drawn.post(f"/v1/reports/{report}/restate", json={}).json()["lines"] == []
    correct(drawn, **body)
    restated = drawn.post(f"/v1/reports/{report}/restate", json={}).json()
    assert "readings" in restated["lines"][0]["causes"]


def test_a_team_corrects_its_own_and_no_other(service: Service) -> None:
    blue, red = service.client("blue"), service.client("red")
    blue.post("/v1/energy", json=batch(an_hour(run="r1", device="b")))
    claim = {**REASON, "kind": "claim", "subject": "run:blue/r1", "workload": "mine"}
    refused(red.post("/v1/corrections", json=claim), 404, "unknown_subject")
    done = blue.post("/v1/corrections", json=claim)
    assert done.status_code == 201
    path = f"/v1/corrections/{done.json()['correction']}/undo"
    refused(red.post(path, json=REASON), 404, "unknown_correction")
    assert red.get("/v1/corrections").json() == {"corrections": []}
    foreign = {**REASON, "kind": "merge", "workload": "mine", "into": "red/x"}
    refused(blue.post("/v1/corrections", json=foreign), 404, "unknown_workload")
    host = {**REASON, "kind": "host", "host": "h", "pue": 1.2}
    refused(blue.post("/v1/corrections", json=host), 403, "scope_missing")


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": "guess"}, 422, "unknown_correction_kind"),
    ({"kind": "claim", "workload": "w"}, 422, "missing_member"),
    ({"kind": "claim", "subject": "user:ana"}, 422, "missing_member"),
    ({"kind": "claim", "subject": "ghost", "workload": "w"}, 422, "invalid_subject"),
    ({"kind": "claim", "subject": "idle", "workload": "w"}, 422, "invalid_subject"),
    ({"kind": "claim", "subject": "user:bob", "workload": "w"}, 404, "unknown_subject"),
    ({"kind": "merge", "workload": "w", "into": "nope"}, 404, "unknown_workload"),
    (
        {"kind": "merge", "workload": "w", "into": "users/ana", "start": to_rfc3339(T)},
        422,
        "invalid_period",
    ),
    ({"kind": "rename", "workload": "w", "into": "w"}, 422, "nothing_to_correct"),
    ({"kind": "host", "host": "nope", "pue": 1.2}, 404, "unknown_host"),
    (
        {"kind": "claim", "subject": "user:ana", "workload": "w", "reason": " "},
        422,
        "missing_reason",
    ),
    (
        {
            "kind": "claim",
            "subject": "user:ana",
            "workload": "w",
            "start": to_rfc3339(T),
            "end": to_rfc3339(T),
        },
        422,
        "end_before_start",
    ),
]


def test_a_correction_that_cannot_be_meant_changes_nothing(drawn: TestClient) -> None:
    for body, status, code in BAD:
        refused(drawn.post("/v1/corrections", json={**REASON, **body}), status, code)
    refused(drawn.post("/v1/corrections/7/undo", json=REASON), 404, "unknown_correction")
    assert drawn.get("/v1/corrections").json() == {"corrections": []}
    done = correct(drawn, kind="merge", workload="users/ana", into="w")
    undo(drawn, done["correction"])
    path = f"/v1/corrections/{done['correction']}/undo"
    refused(drawn.post(path, json=REASON), 409, "already_undone")
