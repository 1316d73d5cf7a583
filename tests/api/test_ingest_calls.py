"""POST /v1/energy and POST /v1/units."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import wait
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ledger import interval
from service import HOUR, MINUTE, NOON_MS, Service, T, an_hour, batch, count, refused

from carbon.domain.tenancy import AGENT_SCOPES, Scope
from carbon.services.ingest.writer import Writer

JSON = {"Content-Type": "application/json"}


def test_energy_is_acknowledged_with_what_was_accepted_and_created(admin: TestClient) -> None:
    answer = admin.post("/v1/energy", json=batch(an_hour()))
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "accepted": 1,
        "duplicate": 0,
        "conflict": 0,
        "rejected": [],
        "created_devices": ["gpu-0"],
        "created_workloads": ["default/w"],
    }


def test_sent_twice_it_is_a_duplicate_and_counted_once(admin: TestClient) -> None:
    body = batch(an_hour())
    admin.post("/v1/energy", json=body)
    again = admin.post("/v1/energy", json=body)
    assert (again.status_code, again.json()["duplicate"]) == (202, 1)
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 3_600_000_000


def test_a_contradiction_is_told_and_the_first_stays(admin: TestClient) -> None:
    admin.post("/v1/energy", json=batch(an_hour()))
    other = admin.post("/v1/energy", json=batch(an_hour(7), seq=2))
    assert (other.status_code, other.json()["conflict"]) == (202, 1)
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 3_600_000_000


BAD_INTERVALS = [
    ({"end_ms": T}, "end_before_start"),
    ({"end_ms": T - 1}, "end_before_start"),
    ({"energy_mj": -5}, "negative_energy"),
    ({"energy_mj": True}, "invalid_field"),
    ({"energy_mj": 1.5}, "invalid_field"),
    ({"energy_mj": "5"}, "invalid_field"),
    ({"energy_mj": None}, "invalid_field"),
    ({"energy_mj": 1 << 60}, "invalid_field"),
    ({"start_ms": False}, "invalid_field"),
    ({"start_ms": -1}, "invalid_field"),
    ({"method": "guessed"}, "unknown_method"),
    ({"workload": "a/b/c"}, "invalid_workload"),
    ({"workload": 5}, "invalid_field"),
    ({"device": ""}, "invalid_field"),
    ({"device": "x" * 201}, "invalid_field"),
    ({"subject": "ghost:1"}, "invalid_subject"),
    ({"start_ms": T - 32 * 24 * HOUR}, "span_too_long"),
    ({"start_ms": NOON_MS, "end_ms": NOON_MS + 5 * MINUTE + 1}, "from_the_future"),
]


@pytest.mark.parametrize(("changed", "code"), BAD_INTERVALS)
def test_a_bad_interval_is_rejected_by_index_and_sinks_no_other(
    admin: TestClient, changed: dict[str, Any], code: str
) -> None:
    good = [interval(T, T + 1_000, 5), interval(T + 1_000, T + 2_000, 7)]
    bad = {**interval(T, T + 1_000, 5, device="gpu-1"), **changed}
    answer = admin.post("/v1/energy", json=batch(good[0], bad, good[1]))
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 2
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(1, code)]
    assert answer.json()["rejected"][0]["detail"]
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 12


@pytest.mark.parametrize("field", ["device", "start_ms", "end_ms", "energy_mj", "method"])
def test_an_interval_that_lacks_a_field_is_rejected(admin: TestClient, field: str) -> None:
    bad = {name: value for name, value in an_hour().items() if name != field}
    answer = admin.post("/v1/energy", json=batch(bad))
    assert answer.status_code == 202
    assert [r["code"] for r in answer.json()["rejected"]] == ["missing_field"]
    assert field in answer.json()["rejected"][0]["detail"]


@pytest.mark.parametrize("item", [5, "x", None, [], {}])
def test_what_is_no_interval_at_all_is_rejected(admin: TestClient, item: object) -> None:
    answer = admin.post("/v1/energy", json={**batch(), "intervals": [item]})
    assert (answer.status_code, len(answer.json()["rejected"])) == (202, 1)


def test_all_rejected_is_202_as_well(admin: TestClient) -> None:
    answer = admin.post("/v1/energy", json=batch(an_hour(-1), an_hour(-2)))
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 0
    assert [r["index"] for r in answer.json()["rejected"]] == [0, 1]


def test_an_empty_batch_is_good(admin: TestClient) -> None:
    assert admin.post("/v1/energy", json=batch()).json()["accepted"] == 0


def test_five_minutes_ahead_is_a_clock_and_not_the_future(admin: TestClient) -> None:
    ahead = interval(NOON_MS, NOON_MS + 5 * MINUTE, 5)
    assert admin.post("/v1/energy", json=batch(ahead)).json()["accepted"] == 1


def test_what_was_from_the_future_is_accepted_when_it_is_sent_again_in_time(
    service: Service, admin: TestClient
) -> None:
    body = batch(an_hour(5), interval(NOON_MS, NOON_MS + HOUR, 7))
    assert admin.post("/v1/energy", json=body).json()["accepted"] == 1
    service.context.clock.sleep(3_600)
    assert admin.post("/v1/energy", json=body).json()["accepted"] == 1
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 12


MALFORMED = [
    b"",
    b"{",
    b"[1, 2",
    b"not json",
    b'{"source": "s", "boot_id": "b", "seq": NaN, "intervals": []}',
    b'{"source": "s", "boot_id": "b", "seq": 1, "intervals": [{"energy_mj": NaN}]}',
    b'{"source": "s", "boot_id": "b", "seq": 1, "intervals": [{"energy_mj": Infinity}]}',
    b'{"source": "s", "boot_id": "b", "seq": 1, "intervals": [{"energy_mj": 1e999}]}',
    b'{"source": "\xff", "boot_id": "b", "seq": 1, "intervals": [{"energy_mj": 1}]}',
    b'{"source": "\\ud800", "boot_id": "b", "seq": 1, "intervals": []}',
    b'{"x": ' + b"[" * 100_000,
    b'{"intervals": [' + b"[" * 100_000,
]


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("path", ["/v1/energy", "/v1/units", "/v1/workloads"])
def test_what_is_not_json_is_400_nan_included(admin: TestClient, path: str, body: bytes) -> None:
    refused(admin.post(path, content=body, headers=JSON), 400, "malformed_json")


@pytest.mark.parametrize(
    "body",
    [
        [],
        5,
        {},
        {**batch(), "intervals": 5},
        {**batch(), "seq": True},
        {**batch(), "seq": -1},
        {**batch(), "source": ""},
        {**batch(), "zone": 5},
        {**batch(), "reservations": [{"device": "g"}]},
        {"source": "s", "boot_id": "b", "intervals": []},
    ],
)
def test_a_batch_that_cannot_be_meant_is_422(admin: TestClient, body: Any) -> None:
    problem = refused(admin.post("/v1/energy", json=body), 422, "invalid_body")
    assert "`" in problem["detail"]


def test_an_unknown_zone_is_422_with_near_ones(admin: TestClient) -> None:
    problem = refused(
        admin.post("/v1/energy", json=batch(an_hour(), zone="Germny")), 422, "unknown_zone"
    )
    assert problem["near"][0] == "DE"


def test_a_reservation_that_cannot_be_meant_refuses_the_whole_batch(admin: TestClient) -> None:
    held = {"device": "gpu-0", "start_ms": T, "end_ms": T, "share_ppm": 5}
    body = batch(an_hour(), reservations=[held])
    refused(admin.post("/v1/energy", json=body), 422, "end_before_start")
    refused(admin.get("/v1/workloads/w/sci"), 404, "unknown_workload")


def test_ten_megabytes_are_too_many(admin: TestClient) -> None:
    body = b'{"x": "' + b"a" * 10_000_000 + b'"}'
    refused(admin.post("/v1/energy", content=body, headers=JSON), 413, "body_too_large")
    parts = (body[i : i + 1_000_000] for i in range(0, len(body), 1_000_000))
    refused(admin.post("/v1/energy", content=parts, headers=JSON), 413, "body_too_large")


def test_gzip_is_read(admin: TestClient) -> None:
    body = gzip.compress(json.dumps(batch(an_hour())).encode())
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert admin.post("/v1/energy", content=body, headers=headers).json()["accepted"] == 1


def test_a_gzip_bomb_is_too_large(admin: TestClient) -> None:
    bomb = gzip.compress(b"a" * 80_000_000, 1)
    headers = {**JSON, "Content-Encoding": "gzip"}
    refused(admin.post("/v1/energy", content=bomb, headers=headers), 413, "body_too_large")


def test_gzip_of_several_members_is_read_whole(admin: TestClient) -> None:
    """As `cat a.gz b.gz` makes it: an empty member, a long one, padding with zeros."""
    body = json.dumps(batch(an_hour())).encode() + b" " * 20_000
    members = [gzip.compress(part) for part in (body[:40], b"", body[40:])]
    headers = {**JSON, "Content-Encoding": "gzip"}
    packed = b"".join(members) + bytes(512)
    assert admin.post("/v1/energy", content=packed, headers=headers).json()["accepted"] == 1


def test_a_gzip_body_of_countless_empty_members_is_too_large(admin: TestClient) -> None:
    body = gzip.compress(b"") * 100_000  # else 400: nothing is no JSON
    answer = admin.post("/v1/energy", content=body, headers={**JSON, "Content-Encoding": "gzip"})
    refused(answer, 413, "body_too_large")


def test_a_gzip_bomb_of_several_members_is_too_large(admin: TestClient) -> None:
    bomb = gzip.compress(b"a" * 20_000_000, 1) * 4
    headers = {**JSON, "Content-Encoding": "gzip"}
    refused(admin.post("/v1/energy", content=bomb, headers=headers), 413, "body_too_large")


_PACKED = gzip.compress(b"{}" * 900)


@pytest.mark.parametrize(
    "body",
    [b"", b"plain", _PACKED[:-9], _PACKED + _PACKED[:-9], _PACKED + b"plain", _PACKED + b"\0x"],
    ids=["empty", "plain", "cut", "cut-member", "plain-behind", "zero-behind"],
)
def test_what_is_not_whole_gzip_is_400(admin: TestClient, body: bytes) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    refused(admin.post("/v1/energy", content=body, headers=headers), 400, "malformed_gzip")


@pytest.mark.parametrize("path", ["/v1/energy", "/v1/units", "/v1/jobs", "/v1/sci/calculate"])
def test_other_media_and_encodings_are_415(admin: TestClient, path: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused(admin.post(path, content=b"a=b", headers=form), 415, "content_type")
    brotli = {**JSON, "Content-Encoding": "br"}
    refused(admin.post(path, content=b"{}", headers=brotli), 415, "content_encoding")


def test_a_charset_in_the_content_type_does_no_harm(admin: TestClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    body = json.dumps(batch(an_hour()))
    assert admin.post("/v1/energy", content=body, headers=headers).status_code == 202


@pytest.mark.parametrize("body", [b"{}", json.dumps(batch(an_hour())).encode()])
def test_a_full_queue_is_429_with_retry_after_before_the_body_is_read(
    service: Service, admin: TestClient, body: bytes
) -> None:
    writer: Writer = service.app.state.writer
    admin.post("/v1/energy", json=batch(an_hour(), seq=7))  # so that the key is known
    begun, held = threading.Event(), threading.Event()
    writer.submit(lambda _ids: begun.set() or held.wait(20))
    assert begun.wait(20)
    waiting = [writer.submit(lambda _ids: None) for _ in range(256)]
    try:
        answer = admin.post("/v1/energy", content=body, headers=JSON)
    finally:
        held.set()
    refused(answer, 429, "ingest_full")
    assert answer.headers["retry-after"] == "1"
    wait(waiting, timeout=20)
    assert admin.post("/v1/energy", json=batch(an_hour())).status_code == 202


def test_a_team_writes_for_itself_alone(team: TestClient) -> None:
    answer = team.post("/v1/energy", json=batch(an_hour(), an_hour(workload="red/w", device="g")))
    assert answer.json()["accepted"] == 1
    assert [r["code"] for r in answer.json()["rejected"]] == ["foreign_team"]
    subject = {**an_hour(device="h"), "workload": None, "subject": "slurm:1"}
    answer = team.post("/v1/energy", json=batch(subject, seq=2))
    assert [r["code"] for r in answer.json()["rejected"]] == ["subject_not_allowed"]


def test_an_agent_writes_for_every_team_and_reads_nothing(service: Service) -> None:
    agent = service.client("default", AGENT_SCOPES)
    assert agent.post("/v1/energy", json=batch(an_hour(workload="red/w"))).json()["accepted"] == 1
    refused(agent.get("/v1/workloads/red/w/sci"), 403, "scope_missing")


def test_a_key_without_the_scope_is_403(service: Service) -> None:
    reader = service.client("blue", {Scope.REPORTS_READ})
    refused(reader.post("/v1/energy", json=batch(an_hour())), 403, "scope_missing")
    refused(reader.post("/v1/units", json={"units": []}), 403, "scope_missing")


def test_unit_counts_are_acknowledged_as_energy_is(admin: TestClient) -> None:
    answer = admin.post("/v1/units", json={"units": [count(1_000)]})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["duplicate"], body["conflict"]) == (1, 0, 0)
    assert body["created_workloads"] == ["default/w"]
    assert admin.post("/v1/units", json={"units": [count(1_000)]}).json()["duplicate"] == 1
    assert admin.post("/v1/units", json={"units": [count(1_001)]}).json()["conflict"] == 1


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"count": -1}, "negative_count"),
        ({"count": True}, "invalid_field"),
        ({"count": 1.5}, "invalid_field"),
        ({"end_ms": T}, "end_before_start"),
        ({"end_ms": NOON_MS + HOUR}, "from_the_future"),
        ({"unit": "run"}, "derived_unit"),
        ({"unit": "device_hour"}, "derived_unit"),
        ({"unit": ""}, "invalid_field"),
        ({"workload": "a/b/c"}, "invalid_workload"),
    ],
)
def test_a_bad_count_sinks_no_other(admin: TestClient, changed: dict[str, Any], code: str) -> None:
    answer = admin.post("/v1/units", json={"units": [count(5) | changed, count(7)]})
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert [(r["index"], r["code"]) for r in answer.json()["rejected"]] == [(0, code)]


def test_power_that_no_device_draws_is_rejected_before_it_can_spoil_a_sum(
    admin: TestClient,
) -> None:
    """2.5 GWh in a millisecond: ten such rows would overflow the grams of their bucket."""
    rows = [interval(T + n, T + n + 1, 1 << 53) for n in range(12)]
    answer = admin.post("/v1/energy", json=batch(*rows, an_hour(5, device="gpu-1")))
    assert {r["code"] for r in answer.json()["rejected"]} == {"implausible_power"}
    assert admin.get("/v1/workloads/w/sci").json()["energy_mj"] == 5
