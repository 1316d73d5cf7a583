"""CodeCarbon's own paths: what its trackers and its command line call."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS, Service, refused, vintage

from carbon.client import Client
from carbon.client.bringing import Bringer, Brought
from carbon.clock import to_rfc3339
from carbon.domain.tenancy import ADMIN_SCOPES, AGENT_SCOPES, TEAM_SCOPES, Scope
from carbon.imports.codecarbon_csv import read_codecarbon
from carbon.imports.harvest import Harvest
from carbon.services.rollup.rollup import roll_up

EXPERIMENT = "11111111-2222-3333-4444-555555555555"
JOULE = 1 / 3_600_000  # kWh
CPU = "AMD EPYC 7763"


def run_body(at_ms: int = NOON_MS, **others: Any) -> dict[str, Any]:
    """As CodeCarbon 3.3.2 sends it."""
    return {
        "timestamp": to_rfc3339(at_ms).replace("Z", "+00:00"),
        "experiment_id": EXPERIMENT,
        "os": "Linux-6.18",
        "python_version": "3.11.7",
        "codecarbon_version": "3.3.2",
        "cpu_count": 2,
        "cpu_model": CPU,
        "gpu_count": 0,
        "gpu_model": "",
        "longitude": None,
        "latitude": None,
        "region": None,
        "provider": None,
        "ram_total_size": 23.540584564208984,
        "tracking_mode": "machine",
        **others,
    }


def delta(run_id: str, at_ms: int, duration: int = 15, **others: Any) -> dict[str, Any]:
    """A delta of 100 J of CPU and 20 J of memory."""
    return {
        "timestamp": to_rfc3339(at_ms),
        "run_id": run_id,
        "duration": duration,
        "emissions_sum": 1e-5,
        "emissions_rate": 1e-6,
        "cpu_power": 10.0,
        "gpu_power": 0.0,
        "ram_power": 2.0,
        "cpu_energy": 100 * JOULE,
        "gpu_energy": 0.0,
        "ram_energy": 20 * JOULE,
        "energy_consumed": 120 * JOULE,
        "cpu_utilization_percent": 66.7,
        "gpu_utilization_percent": 0,
        "ram_utilization_percent": 2.2,
        "wue": 0.0,
        **others,
    }


def totals(duration: float, joules: float, **others: Any) -> dict[str, Any]:
    """As `emissions_endpoint` gets them: local time without an offset."""
    return {
        "timestamp": "2026-03-02T12:00:00",
        "project_name": "p1",
        "run_id": "None",
        "experiment_id": EXPERIMENT,
        "duration": duration,
        "emissions": joules * 1e-7,
        "emissions_rate": 1e-7,
        "cpu_energy": joules * JOULE,
        "gpu_energy": 0.0,
        "ram_energy": 0.0,
        "energy_consumed": joules * JOULE,
        "country_name": "France",
        "country_iso_code": "FRA",
        "cpu_model": CPU,
        "cpu_count": 2,
        "tracking_mode": "machine",
        "pue": 1.0,
        "user": "root",
        **others,
    }


class Tracker:
    """One run of a key, its deltas one after the other."""

    def __init__(self, client: TestClient, prefix: str = "", **body: Any) -> None:
        self.client, self.prefix = client, prefix
        opened = client.post(f"{prefix}/runs", json=run_body(**body))
        assert opened.status_code == 201, opened.text
        self.id = opened.json()["id"]

    def send(self, at_ms: int, duration: int = 15, **others: Any) -> str:
        answer = self.client.post(
            f"{self.prefix}/emissions", json=delta(self.id, at_ms, duration, **others)
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json())


@pytest.fixture
def key(service: Service) -> str:
    return service.key("blue")[0]


def with_token(service: Service, key: str) -> TestClient:
    client = service.with_key(key)
    del client.headers["Authorization"]
    client.headers["x-api-token"] = key
    return client


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_a_run_and_its_deltas_are_energy_of_a_workload(team: TestClient, prefix: str) -> None:
    tracker = Tracker(team, prefix)
    UUID(tracker.send(NOON_MS - 15_000))
    tracker.send(NOON_MS)
    answer = team.get(f"/v1/workloads/experiment-{EXPERIMENT}/sci", params={"unit": "run"}).json()
    assert answer["energy_mj"] == 240_000
    assert answer["methods"] == {"imported": 1.0}
    assert answer["measured_g"] == 0.0
    assert not team.get(f"/v1/workloads/experiment-{EXPERIMENT}").json()["is_named"]


def test_the_token_header_and_the_bearer_key_are_the_same(service: Service, key: str) -> None:
    for client in (with_token(service, key), service.with_key(key)):
        tracker = Tracker(client)
        tracker.send(NOON_MS)
        assert client.post("/emissions", json=delta("x" * 36, NOON_MS)).status_code == 404


def test_without_a_key_only_this_machine_may_track(service: Service) -> None:
    assert service.stranger.post("/runs", json=run_body()).status_code == 201
    default = {"x-api-token": "api_key"}  # CodeCarbon's, where nobody gave it one
    assert service.stranger.post("/runs", json=run_body(), headers=default).status_code == 201
    for header in ({"x-forwarded-for": "1.2.3.4"}, {"origin": "https://evil.example"}):
        answer = service.stranger.post("/runs", json=run_body(), headers=header)
        refused(answer, 401, "key_missing")
    wrong = service.stranger.post("/runs", json=run_body(), headers={"x-api-token": "cpt_old"})
    assert wrong.status_code == 401


def test_a_key_that_only_reads_may_not_track(service: Service) -> None:
    reader = service.client("blue", {Scope.REPORTS_READ})
    refused(reader.post("/runs", json=run_body()), 403, "scope_missing")


def test_another_teams_run_is_refused_as_by_their_server(service: Service) -> None:
    tracker = Tracker(service.client("blue"))
    answer = service.client("red").post("/emissions", json=delta(tracker.id, NOON_MS))
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Not allowed to perform this action"
    assert service.client("red").get(f"/runs/{tracker.id}").status_code == 404


def test_intervals_follow_each_other_although_durations_are_cut(team: TestClient) -> None:
    """Whole seconds lose up to one a delta; the energy is spread over the true time."""
    tracker = Tracker(team)
    ends = [NOON_MS - 60_000 + n * 15_900 for n in range(4)]
    for end_ms in ends:
        tracker.send(end_ms, 15)
    items = team.get(f"/runs/{tracker.id}/emissions").json()["items"]
    assert [item["end"] for item in items] == [to_rfc3339(end) for end in ends]
    assert [item["start"] for item in items[1:]] == [to_rfc3339(end) for end in ends[:-1]]
    assert items[0]["start"] == to_rfc3339(ends[0] - 15_000)


def test_a_delta_that_was_lost_leaves_a_gap(team: TestClient) -> None:
    tracker = Tracker(team)
    tracker.send(NOON_MS - 120_000)
    tracker.send(NOON_MS)
    items = team.get(f"/runs/{tracker.id}/emissions").json()["items"]
    assert items[1]["start"] == to_rfc3339(NOON_MS - 15_000)


def test_a_run_opened_again_in_silence_is_the_same_one(service: Service, key: str) -> None:
    client = service.with_key(key)
    first = Tracker(client)
    assert Tracker(client).id == first.id
    first.send(NOON_MS)
    second = Tracker(client)
    assert second.id != first.id  # the first has spoken
    service.context.clock.advance(11.0)  # type: ignore[attr-defined]
    assert Tracker(client).id != second.id
    assert [run["id"] for run in client.get("/runs").json()] == [first.id]


def test_processes_of_one_machine_are_runs_of_their_own(team: TestClient) -> None:
    one, two = (Tracker(team, tracking_mode="process") for _ in range(2))
    assert one.id != two.id


def test_a_silent_run_is_closed_with_its_last_delta(service: Service, key: str) -> None:
    client = service.with_key(key)
    tracker = Tracker(client)
    tracker.send(NOON_MS, 120)
    assert client.get(f"/runs/{tracker.id}").json()["state"] == "open"
    service.context.clock.advance(361.0)  # type: ignore[attr-defined]
    told = client.get(f"/runs/{tracker.id}").json()
    assert (told["state"], told["closed_at"]) == ("closed", to_rfc3339(NOON_MS))


def test_both_emissions_are_shown_theirs_and_ours_by_the_hour(
    service: Service, admin: TestClient
) -> None:
    """An hour at 100 and one at 300 g/kWh: 1 kWh in each is 400 g, whatever the client says."""
    admin.post("/v1/hosts", json={"name": "default/127.0.0.1", "zone": "DE"})
    posted = admin.post("/v1/intensity/DE", json=vintage(100.0, 300.0, start_ms=NOON_MS - 2 * HOUR))
    assert posted.json()["quarantined"] == []
    tracker = Tracker(admin)
    one = {"cpu_energy": 1.0, "ram_energy": 0.0, "energy_consumed": 1.0, "emissions_sum": 0.35}
    tracker.send(NOON_MS - HOUR, 3600, **one)
    tracker.send(NOON_MS, 3600, **one)
    told = admin.get(f"/runs/{tracker.id}").json()
    assert told["emissions"] == pytest.approx(0.7)
    assert told["emissions_recomputed"] == pytest.approx(0.4)
    assert (told["energy_consumed"], told["counted_by"]) == (2.0, "tracker")
    sci = admin.get(f"/v1/workloads/experiment-{EXPERIMENT}/sci?unit=run").json()
    assert sci["operational_g"] == pytest.approx(400.0)
    sums = admin.get(f"/experiments/{EXPERIMENT}/runs/sums").json()
    assert sums[0]["emissions_recomputed"] == pytest.approx(0.4)


def test_a_tracker_on_a_host_that_the_agent_meters_adds_nothing(service: Service) -> None:
    agent, client = service.client("default", AGENT_SCOPES), service.client("blue")
    intervals = [
        {
            "device": "cpu-0",
            "start_ms": NOON_MS - HOUR,
            "end_ms": NOON_MS,
            "energy_mj": 500_000,
            "method": "modelled",
            "workload": "ops/batch",
        }
    ]
    batch = {
        "source": "node-1",
        "host": "node-1",
        "boot_id": "b",
        "seq": 1,
        "devices": [{"device": "cpu-0", "kind": "cpu", "model": "AMD EPYC(tm) 7763"}],
        "intervals": intervals,
    }
    assert agent.post("/v1/energy", json=batch).status_code == 202
    tracker = Tracker(client)
    tracker.send(NOON_MS, 3600, ram_energy=0.0, energy_consumed=100 * JOULE)
    told = client.get(f"/runs/{tracker.id}").json()
    assert (told["host"], told["counted_by"]) == ("node-1", "agent")
    roll_up(service.context)
    whole = service.admin.get("/v1/sci").json()["total"]
    assert sum(point["energy_mj"] for point in whole) == 500_000


def test_a_declared_address_says_what_the_cpu_model_cannot(service: Service) -> None:
    service.admin.post("/v1/hosts", json={"name": "node-7", "trackers": ["127.0.0.1"]})
    tracker = Tracker(service.client("blue"), cpu_model="something else")
    tracker.send(NOON_MS)
    assert service.client("blue").get(f"/runs/{tracker.id}").json()["host"] == "node-7"


def test_two_trackers_of_one_machine_are_not_added(service: Service) -> None:
    """Each sees the whole machine: at each instant one of them counts."""
    client = service.client("blue")
    trackers = [Tracker(client)]
    trackers[0].send(NOON_MS - 600_000, 300)
    trackers.append(Tracker(client))
    for tracker in trackers:
        tracker.send(NOON_MS - 300_000, 300)
    answer = client.get(f"/v1/workloads/experiment-{EXPERIMENT}/sci?unit=run").json()
    assert answer["energy_mj"] == 240_000


def test_a_clock_that_is_steadily_off_is_corrected_by_ours(service: Service, key: str) -> None:
    client = service.with_key(key)
    off_ms = NOON_MS - HOUR
    tracker = Tracker(client, at_ms=off_ms)
    tracker.send(off_ms)
    items = client.get(f"/runs/{tracker.id}/emissions").json()["items"]
    assert items[0]["end"] == to_rfc3339(NOON_MS)
    senders = service.admin.get("/web/fleet.json").json()["senders"]
    assert [s["skew_s"] for s in senders if s["name"].startswith("codecarbon:")] == [-3600.0]


BAD = [
    ({"duration": 0}, "invalid_duration"),
    ({"duration": -3}, "invalid_duration"),
    ({"cpu_energy": -1.0}, "negative_energy"),
    ({"emissions_sum": -1.0}, "negative_emissions"),
    ({"energy_consumed": 1e30}, "implausible_energy"),
    ({"cpu_energy": 1e5, "energy_consumed": 1e5}, "implausible_power"),
    ({"timestamp": "yesterday"}, "invalid_time"),
    ({"timestamp": to_rfc3339(NOON_MS + 6 * 60_000)}, "from_the_future"),
    ({"duration": "15"}, "invalid_body"),
]


def test_a_delta_that_cannot_be_meant_is_refused(team: TestClient) -> None:
    tracker = Tracker(team)
    for changed, code in BAD:
        refused(team.post("/emissions", json=delta(tracker.id, NOON_MS) | changed), 422, code)
    assert team.get("/runs").json() == []


def test_what_is_no_json_is_malformed(team: TestClient) -> None:
    for body in (b"{", b'{"duration": NaN}', b""):
        answer = team.post("/emissions", content=body, headers={"Content-Type": "application/json"})
        refused(answer, 400, "malformed_json")


def test_members_of_other_versions_are_let_through(team: TestClient) -> None:
    tracker = Tracker(team, something_new=[1])
    tracker.send(NOON_MS, water_consumed=0.1)


def test_short_runs_one_after_the_other_are_all_counted(team: TestClient) -> None:
    """Within one bucket, where one meter counts."""
    for n in range(4):
        Tracker(team).send(NOON_MS - (4 - n) * 20_000)
    answer = team.get(f"/v1/workloads/experiment-{EXPERIMENT}/sci?unit=run").json()
    assert (answer["energy_mj"], answer["count"]) == (480_000, 4)


def test_processes_at_the_same_time_are_added(team: TestClient) -> None:
    """Each sees its own share; GPUs it sees whole, so that these are not."""
    trackers = [Tracker(team, tracking_mode="process") for _ in range(2)]
    gpu = {"gpu_energy": 1_000 * JOULE, "energy_consumed": 1_120 * JOULE}
    for tracker in trackers:
        tracker.send(NOON_MS, 15, **gpu)
    answer = team.get(f"/v1/workloads/experiment-{EXPERIMENT}/sci?unit=run").json()
    assert answer["energy_mj"] == 2 * 120_000 + 1_000_000


# emissions_endpoint


def test_totals_are_counted_once_however_often_they_are_told(service: Service) -> None:
    client = service.stranger
    assert client.post("/emissions", json=totals(100.0, 500.0)).status_code == 201
    service.context.clock.advance(100.0)  # type: ignore[attr-defined]
    later = client.post("/emissions", json=totals(200.0, 800.0))
    assert later.status_code == 201
    service.admin.post("/emissions", json=totals(200.0, 800.0))
    answer = service.admin.get("/v1/workloads/p1/sci?unit=run").json()
    assert (answer["energy_mj"], answer["zones"]) == (800_000, ["DE"])


def test_a_key_travels_as_the_password_of_the_url(service: Service, key: str) -> None:
    told = base64.b64encode(f"carbon:{key}".encode()).decode()
    headers = {"Authorization": f"Basic {told}"}
    answer = service.stranger.post("/emissions", json=totals(10.0, 5.0), headers=headers)
    assert answer.status_code == 201
    assert service.with_key(key).get("/v1/workloads/p1/sci?unit=run").json()["energy_mj"] == 5_000
    bad = {"Authorization": "Basic !!"}
    refused(
        service.stranger.post("/emissions", json=totals(1.0, 1.0), headers=bad),
        401,
        "key_malformed",
    )


def test_the_pue_of_totals_is_taken_out_again(team: TestClient) -> None:
    team.post("/emissions", json=totals(10.0, 15.0, pue=1.5))
    assert team.get("/v1/workloads/p1/sci?unit=run").json()["energy_mj"] == 10_000


# codecarbon config


def test_what_codecarbon_config_calls(team: TestClient, service: Service) -> None:
    assert team.get("/auth/check").json()["user"]["team"] == "blue"
    (own,) = team.get("/organizations").json()
    assert own["name"] == "blue"
    project = team.post(
        "/projects",
        json={"name": "vision", "description": "d", "organization_id": own["id"]},
    )
    assert project.status_code == 201
    project_id = project.json()["id"]
    assert [p["id"] for p in team.get(f"/organizations/{own['id']}/projects").json()] == [
        project_id
    ]
    experiment = team.post(
        "/experiments",
        json={
            "timestamp": to_rfc3339(NOON_MS),
            "name": "resnet training",
            "description": "d",
            "on_cloud": False,
            "project_id": project_id,
            "country_name": "France",
        },
    )
    assert experiment.status_code == 201
    experiment_id = experiment.json()["id"]
    listed = team.get(f"/projects/{project_id}/experiments").json()
    assert [x["name"] for x in listed] == ["resnet training"]
    assert team.get(f"/experiments/{experiment_id}").json()["country_name"] == "France"
    token = team.post(
        f"/projects/{project_id}/api-tokens",
        json={"project_id": project_id, "name": "api token", "x_token": "???"},
    )
    assert token.status_code == 201
    writer = with_token(service, token.json()["token"])
    tracker = Tracker(writer, experiment_id=experiment_id)
    tracker.send(NOON_MS)
    refused(writer.get("/runs"), 401, "key_missing")  # as a token it opens nothing that is read
    sci = team.get("/v1/workloads/resnet training/sci?unit=run").json()
    assert (sci["energy_mj"], sci["zones"]) == (120_000, ["DE"])
    assert team.get(f"/projects/{project_id}/sums").json()["emissions_count"] == 1
    assert team.get(f"/projects/{project_id}/experiments/sums").json()[0]["emissions_count"] == 1
    assert team.get(f"/organizations/{own['id']}/sums").json()["emissions_count"] == 1
    assert team.get(f"/lastrun/project/{project_id}").json()["id"] == tracker.id
    (told,) = team.get(f"/projects/{project_id}/api-tokens").json()
    assert team.delete(f"/projects/{project_id}/api-tokens/{told['id']}").status_code == 204
    assert writer.post("/runs", json=run_body()).status_code == 401


def test_another_teams_projects_are_not_there(service: Service) -> None:
    blue, red = service.client("blue"), service.client("red")
    (own,) = blue.get("/organizations").json()
    body = {"name": "vision", "description": "", "organization_id": own["id"]}
    project_id = blue.post("/projects", json=body).json()["id"]
    assert red.get(f"/projects/{project_id}").status_code == 404
    assert red.post("/projects", json=body).status_code == 404
    assert red.delete(f"/projects/{project_id}").status_code == 404
    assert red.post("/organizations", json={"name": "blue", "description": ""}).status_code == 403
    made = service.admin.post("/organizations", json={"name": "green team", "description": ""})
    assert made.status_code == 201


def test_a_write_only_key_reads_nothing(service: Service) -> None:
    writer = service.client("blue", {Scope.ENERGY_TRACK, Scope.UNITS_WRITE})
    for path in ("/runs", "/organizations", "/auth/check"):
        refused(writer.get(path), 403, "scope_missing")
    assert Scope.REPORTS_READ in TEAM_SCOPES


def test_an_emission_is_found_by_the_id_that_was_answered(team: TestClient) -> None:
    tracker = Tracker(team)
    id_ = tracker.send(NOON_MS)
    told = team.get(f"/emissions/{id_}").json()
    assert (told["id"], told["run_id"]) == (id_, tracker.id)
    assert json.dumps(told)
    missing = "00000000-0000-8000-8000-000000000000"
    refused(team.get(f"/emissions/{missing}"), 404, "unknown_emission")


def test_a_run_that_its_tracker_told_is_not_imported_from_its_file(
    service: Service, admin: TestClient
) -> None:
    run_id = admin.post("/runs", json=run_body(NOON_MS - HOUR)).json()["id"]
    admin.post("/emissions", json=delta(run_id, NOON_MS - HOUR + 15_000))
    head = "timestamp,project_name,run_id,duration,emissions,cpu_energy,energy_consumed"
    kwh = 120 * JOULE
    lines = [
        f"2026-03-02T11:00:15,p,{run},15.0,1e-5,{kwh},{kwh}"
        for run in (run_id, "22222222-2222-3333-4444-555555555555")
    ]
    harvest = Harvest()
    batches, _ = read_codecarbon([head, *lines], ZoneInfo("UTC"), harvest)
    key, _ = service.key("default", ADMIN_SCOPES)
    with Client("http://testserver", key, transport=service.stranger._transport) as client:
        brought = Brought()
        bringer = Bringer(client, "codecarbon", brought)
        bringer.energy_of_all(batches, harvest)
        bringer.tell(harvest)
    assert (brought.accepted, brought.rejected) == (1, 1)
    told = admin.get("/v1/quality").json()["troubles"]
    assert [(line["source"], line["code"]) for line in told] == [("codecarbon", "run_metered")]
