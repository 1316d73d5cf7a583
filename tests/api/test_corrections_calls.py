"""Corrections: what moves is shown first, has a reason, and can be taken back."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS, Service, T, an_hour, batch, count, refused, vintage

from carbon.clock import to_rfc3339
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle

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


def test_a_bare_new_name_stays_in_its_team(drawn: TestClient) -> None:
    """It went to the team of whose key asked, and its energy with it."""
    done = correct(drawn, kind="rename", workload="users/ana", into="anna")
    assert energy(drawn, "users/anna") == KWH
    undo(drawn, done["correction"])
    correct(drawn, kind="rename", workload="users/ana", into="blue/ana")
    assert energy(drawn, "blue/ana") == KWH


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


def tokens(client: TestClient, workload: str = "w", **query: str) -> tuple[int, int]:
    answer = client.get(f"/v1/workloads/{workload}/sci", params={"unit": "token", **query}).json()
    return answer["count"], answer["count_set_aside"]


def recount(n: int, **members: Any) -> dict[str, Any]:
    window = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
    return {"kind": "units", "workload": "w", "unit": "token", "count": n, **window, **members}


def test_a_count_is_replaced_and_comes_back(drawn: TestClient) -> None:
    drawn.post("/v1/units", json={"units": [count(1_000)]})
    tried = correct(drawn, **recount(600), dry_run=True)
    told = {"workload": "default/w", "unit": "token", "before": 1_000, "after": 600}
    assert (tried["moves"], tried["counts"], tokens(drawn)) == ([], [told], (1_000, 0))
    done = correct(drawn, **recount(600))
    assert (done["counts"], tokens(drawn)) == ([told], (600, 0))
    half = to_rfc3339(T + HOUR // 2)
    assert tokens(drawn, end=half) == (300, 0)
    correct(drawn, **recount(100, end=half))  # the later one holds where both speak
    assert tokens(drawn) == (400, 0)
    back = undo(drawn, done["correction"])
    assert (back["counts"][0]["before"], back["counts"][0]["after"]) == (400, 600)
    assert tokens(drawn) == (600, 0)
    undo(drawn, back["correction"])
    assert tokens(drawn) == (400, 0)


def test_a_count_of_settled_days_is_replaced(service: Service) -> None:
    admin = service.admin
    admin.post("/v1/energy", json=batch(an_hour()))
    admin.post("/v1/units", json={"units": [count(1_000)]})
    service.context.clock.sleep(3 * 24 * 3600)
    roll_up(service.context)
    settle(service.context)
    days = {"start": to_rfc3339(T - 24 * HOUR), "end": to_rfc3339(T + 24 * HOUR)}
    assert tokens(admin, **days) == (1_000, 0)
    done = correct(admin, **recount(600))
    assert tokens(admin, **days) == (600, 0)
    settle(service.context)
    assert tokens(admin, **days) == (600, 0)
    undo(admin, done["correction"])
    assert tokens(admin, **days) == (1_000, 0)


def test_a_count_that_is_replaced_follows_merges(drawn: TestClient) -> None:
    drawn.post("/v1/units", json={"units": [count(30), count(12, workload="old")]})
    drawn.post("/v1/energy", json=batch(an_hour(device="gpu-2", workload="old"), seq=2))
    correct(drawn, **recount(10, workload="old"))
    merge = correct(drawn, kind="merge", workload="old", into="w")
    assert tokens(drawn) == (40, 0)
    both = correct(drawn, **recount(100))
    assert (both["counts"][0]["before"], tokens(drawn)) == (40, (100, 0))
    undo(drawn, merge["correction"])
    assert (tokens(drawn), tokens(drawn, "old")) == ((100, 0), (10, 0))


def test_a_report_that_counted_otherwise_is_restated(drawn: TestClient) -> None:
    drawn.post("/v1/units", json={"units": [count(1_000)]})
    window = {"start": to_rfc3339(T), "end": to_rfc3339(T + HOUR)}
    body = {**window, "workload": "w", "unit": "token"}
    report = drawn.post("/v1/reports", json=body).json()["id"]
    assert [r["report"] for r in correct(drawn, **recount(600))["reports"]] == [report]
    restated = drawn.post(f"/v1/reports/{report}/restate", json={}).json()
    assert restated["lines"][0]["causes"] == ["counts"]


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
    (recount(1, unit="page"), 422, "unknown_unit"),
    (recount(1, unit="run"), 422, "derived_unit"),
    (recount(1, workload="nope"), 404, "unknown_workload"),
    (recount(1, end=None), 422, "missing_member"),
    (recount(-1), 422, "invalid_body"),
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
