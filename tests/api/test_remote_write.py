"""POST /api/v1/write: Prometheus remote write 1.0, and every bad input that it may bring."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from metrics import DCGM, DCGM_POWER, REMOTE_WRITE, TOKENS, a_pod, prometheus, written
from service import HOUR, MINUTE, NOON_MS, Service, T
from sqlalchemy import Engine

from carbon.domain.tenancy import AGENT_SCOPES, SCRAPE_SCOPES
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine, memory_engine
from carbon.storage.migrations import upgrade

S = 1_000
GPU = {"UUID": "GPU-1", "Hostname": "n1"}
VLLM = a_pod("vllm-6d5f7c9b8d-abcde")


def energy(client: TestClient, workload: str = "prod/vllm") -> int | None:
    answer: int | None = client.get(f"/v1/workloads/{workload}/sci").json().get("energy_mj")
    return answer


def device_energy(client: TestClient) -> int:
    """Of all devices and everybody, claimed or not."""
    answer = client.get("/web/breakdown.json", params={"by": "device", "last": "7d"}).json()
    return round(sum(line["energy_kwh"] for line in answer["lines"]) * 3_600_000_000)


def troubles(client: TestClient) -> dict[str, dict[str, Any]]:
    answer = client.get("/v1/quality", params={"start": "2026-01-01T00:00:00Z"}).json()
    return {line["code"]: line for line in answer["troubles"]}


def rising(*values: float, start_ms: int = T, step_ms: int = 30 * S) -> list[tuple[int, float]]:
    return [(start_ms + n * step_ms, value) for n, value in enumerate(values)]


def gpu(*values: float, labels: dict[str, str] = VLLM, **others: Any) -> Any:
    return prometheus(DCGM, {**GPU, **labels}, rising(*values, **others))


def test_a_rising_counter_is_energy_of_its_pods_workload(admin: TestClient) -> None:
    answer = written(admin, gpu(1e9, 1.009e9))
    assert (answer.status_code, answer.content) == (204, b"")
    assert energy(admin) == 9_000_000
    assert admin.get("/v1/workloads/prod/vllm/sci").json()["methods"] == {"counter": 1.0}


def test_a_body_repeated_changes_nothing(admin: TestClient) -> None:
    for _ in range(3):
        assert written(admin, gpu(1e9, 1.009e9)).status_code == 204
    assert energy(admin) == 9_000_000
    assert troubles(admin).keys() <= {"late_samples"}


def test_bodies_follow_each_other_and_what_comes_again_within_one_counts_once(
    admin: TestClient,
) -> None:
    written(admin, gpu(1e9, 1.009e9))
    written(admin, gpu(1e9, 1.009e9, 1.018e9))
    assert energy(admin) == 18_000_000


def test_how_far_a_counter_was_read_survives_a_restart(
    tmp_path: Path, new_context: Callable[[Engine], Context]
) -> None:
    file = f"sqlite:///{tmp_path / 'carbon.db'}"
    upgrade(create_engine(file))
    with Service.of(new_context(create_engine(file))) as first:
        written(first.admin, gpu(1e9))
    with Service.of(new_context(create_engine(file))) as second:
        written(second.admin, gpu(1.009e9, start_ms=T + 30 * S))
        assert energy(second.admin) == 9_000_000


def test_pods_that_repeat_a_shared_gpus_value_count_it_once_and_share_it(
    admin: TestClient,
) -> None:
    pods = [a_pod(f"{name}-6d5f7c9b8d-abcde") for name in ("a", "b", "c")]
    written(admin, *[gpu(1e9, 1.009e9, labels=pod) for pod in pods])
    assert [energy(admin, f"prod/{name}") for name in "abc"] == [3_000_000] * 3
    assert device_energy(admin) == 9_000_000


def test_of_counter_and_power_of_one_gpu_one_counts(admin: TestClient) -> None:
    power = prometheus(DCGM_POWER, {**GPU, **VLLM}, rising(300.0, 320.0))
    written(admin, gpu(1e9, 1.009e9), power)
    assert energy(admin) == 9_000_000


def test_power_alone_is_integrated(admin: TestClient) -> None:
    written(admin, prometheus(DCGM_POWER, {**GPU, **VLLM}, rising(300.0, 320.0)))
    answer = admin.get("/v1/workloads/prod/vllm/sci").json()
    assert (answer["energy_mj"], answer["methods"]) == (9_300_000, {"averaged": 1.0})


def test_tokens_of_all_replicas_are_the_workloads(admin: TestClient) -> None:
    """Both begin at the same moments and count alike: two rows, and not one sent twice."""
    pods = [{"namespace": "prod", "pod": f"vllm-6d5f7c9b8d-abcd{n}"} for n in range(2)]
    tokens = [prometheus(TOKENS, pod, rising(100.0, 600.0)) for pod in pods]
    written(admin, gpu(1e9, 1.009e9), *tokens)
    answer = admin.get("/v1/workloads/prod/vllm/sci").json()
    assert (answer["unit"], answer["count"]) == ("token", 1000)
    assert answer["sci_g_per_unit"] > 0


def test_parts_of_a_device_add_up(admin: TestClient) -> None:
    """Kepler's pods and the node's idle energy."""
    node = {"node_name": "n1", "zone": "package"}
    pods = [
        prometheus(
            "kepler_pod_cpu_joules_total",
            {**node, "pod_id": name, "pod_namespace": "prod", "pod_name": name, "state": "running"},
            rising(0.0, joules),
        )
        for name, joules in (("x", 300.0), ("y", 600.0))
    ]
    idle = prometheus("kepler_node_cpu_idle_joules_total", node, rising(0.0, 1500.0))
    written(admin, *pods, idle)
    assert (energy(admin, "prod/x"), energy(admin, "prod/y")) == (300_000, 600_000)
    assert device_energy(admin) == 2_400_000


# Bad input: each is told, and in no total.


def test_a_renamed_metric_is_told(admin: TestClient) -> None:
    written(admin, prometheus("DCGM_FI_DEV_ENERGY_CONSUMPTION", GPU, rising(1e9, 1.009e9)))
    told = troubles(admin)["unmapped_metric"]
    assert (told["source"], told["about"]) == ("remote-write", "DCGM_FI_DEV_ENERGY_CONSUMPTION")
    assert DCGM in told["detail"]
    assert device_energy(admin) == 0


def test_a_device_that_falls_silent_while_others_go_on_is_told(admin: TestClient) -> None:
    other = {"UUID": "GPU-2", "Hostname": "n2"}
    written(admin, gpu(1e9, 1.009e9), prometheus(DCGM, other, [(T + HOUR, 1e9)]))
    told = troubles(admin)["series_silent"]
    assert told["about"] == "GPU-1"


def test_a_missing_label_is_told(admin: TestClient) -> None:
    written(admin, prometheus(DCGM, {"instance": "n1:9400"}, rising(1e9, 1.009e9)))
    assert "n1:9400" in troubles(admin)["label_missing"]["about"]
    assert device_energy(admin) == 0


def test_joules_for_millijoules_are_told(admin: TestClient) -> None:
    written(admin, gpu(9e9, 9.009e9, 9.018e6, 9.027e6, 9.036e6))
    assert troubles(admin)["unit_changed"]["about"] == "GPU-1"
    assert energy(admin) == 9_000_000


def test_a_clock_an_hour_ahead_is_told(admin: TestClient) -> None:
    written(admin, gpu(1e9, 1.009e9, start_ms=NOON_MS + HOUR))
    told = troubles(admin)["from_the_future"]
    assert (told["about"], told["count"]) == ("n1", 2)
    assert device_energy(admin) == 0


def test_a_clock_an_hour_behind_is_told(admin: TestClient) -> None:
    behind = gpu(1e9, 1.009e9, start_ms=NOON_MS - HOUR - MINUTE)
    other = {"UUID": "GPU-2", "Hostname": "n2"}
    written(admin, behind, prometheus(DCGM, other, [(NOON_MS - MINUTE, 1e9)]))
    told = troubles(admin)["clock_behind"]
    assert told["about"] == "n1"
    assert "60 min" in told["detail"]
    assert device_energy(admin) == 0


def test_what_a_counter_rose_by_while_its_clock_was_behind_is_bridged(admin: TestClient) -> None:
    other = {"UUID": "GPU-2", "Hostname": "n2"}
    fresh = [prometheus(DCGM, other, [(NOON_MS - n * MINUTE, 1e9)]) for n in (3, 2, 1)]
    written(admin, gpu(1e9, start_ms=NOON_MS - 20 * MINUTE))
    written(admin, gpu(1.009e9, start_ms=NOON_MS - HOUR), fresh[0])
    assert device_energy(admin) == 0
    written(admin, gpu(1.018e9, start_ms=NOON_MS - 2 * MINUTE), fresh[1])
    assert device_energy(admin) == 18_000_000


def test_a_host_that_fell_silent_within_a_backlog_has_no_clock_behind(admin: TestClient) -> None:
    """A body that was long on its way tells of all hosts, and of one its end."""
    gone = gpu(1e9, 1.009e9, start_ms=NOON_MS - 20 * MINUTE)
    span = [(NOON_MS - n * MINUTE, 1e9 + n) for n in (25, 1)]
    written(admin, gone, prometheus(DCGM, {"UUID": "GPU-2", "Hostname": "n2"}, span))
    assert "clock_behind" not in troubles(admin)
    assert device_energy(admin) == 9_000_000


def test_a_backlog_is_no_clock_behind(admin: TestClient) -> None:
    written(admin, gpu(1e9, 1.009e9))
    assert "clock_behind" not in troubles(admin)
    assert "late_samples" in troubles(admin)


def test_a_device_on_two_hosts_counts_on_the_first(admin: TestClient) -> None:
    second = prometheus(DCGM, {**GPU, **VLLM, "Hostname": "n2"}, rising(5e9, 5.009e9, 5.018e9))
    written(admin, gpu(1e9, 1.009e9, 1.018e9), second)
    told = troubles(admin)["device_on_two_hosts"]
    assert (told["about"], "n1" in told["detail"]) == ("GPU-1", True)
    assert device_energy(admin) == 18_000_000


def test_a_device_that_was_moved_is_followed_once_the_first_host_is_silent(
    admin: TestClient,
) -> None:
    written(admin, gpu(1e9, 1.009e9))
    moved = {**GPU, **VLLM, "Hostname": "n2"}
    later = rising(1.5e9, 1.509e9, start_ms=T + HOUR)
    written(admin, prometheus(DCGM, moved, later))
    assert "device_on_two_hosts" not in troubles(admin)
    assert energy(admin) == 18_000_000


def test_a_counter_that_runs_backwards_is_told(admin: TestClient) -> None:
    written(admin, gpu(1e9, 1.009e9, 1.008e9, 1.018e9))
    assert troubles(admin)["counter_backwards"]["about"] == "GPU-1"
    assert energy(admin) == 18_000_000


@pytest.mark.parametrize("blank", [9223372036854775794.0, math.inf, math.nan, 140737488355328.0])
def test_blank_values_are_told(admin: TestClient, blank: float) -> None:
    written(admin, gpu(1e9, 1.009e9, blank, 1.027e9))
    assert troubles(admin)["sentinel"]["about"] == "GPU-1"
    assert energy(admin) == 27_000_000


@pytest.fixture
def looping(tmp_path: Path, new_context: Callable[[Engine], Context]) -> Iterator[Service]:
    file = tmp_path / "mapping.toml"
    file.write_text('[alias]\n"prod/a" = "prod/b"\n"prod/b" = "prod/a"\n')
    engine = memory_engine()
    upgrade(engine)
    plain = new_context(engine)
    settings = Settings(data_dir=tmp_path, feeds=False, zone="DE", mapping=file)
    with Service.of(Context(engine, settings, plain.clock)) as made:
        yield made
    engine.dispose()


def test_a_mapping_that_loops_is_told_and_senders_keep_what_they_have(looping: Service) -> None:
    answer = written(looping.admin, gpu(1e9, 1.009e9))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "prod/a = prod/b = prod/a" in answer.text
    assert "mapping_loops" in troubles(looping.admin)


def test_troubles_are_on_the_page_of_data_quality(admin: TestClient) -> None:
    written(admin, prometheus(DCGM, {"instance": "n1:9400"}, rising(1e9, 1.009e9)))
    shown = admin.get("/web/quality.json", params={"last": "7d"}).json()["troubles"]
    assert [line["code"] for line in shown if line["code"] == "label_missing"]


# The protocol


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 415),
        ({"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}, 415),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Authorization": "Bearer ck_no"}, 401),
    ],
)
def test_what_the_protocol_does_not_have_is_one_line(
    admin: TestClient, headers: dict[str, str], status: int
) -> None:
    answer = written(admin, gpu(1e9), **headers)
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "text/plain; charset=utf-8",
    )
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xff\xff\xff\x7f", b"plain", b"\x04\x0c\xff\xff\xff\xff"]
)
def test_what_cannot_be_read_is_400(admin: TestClient, body: bytes) -> None:
    answer = admin.post("/api/v1/write", content=body, headers=REMOTE_WRITE)
    assert answer.status_code in (400, 413), answer.text


def test_a_key_that_reads_may_not_write(service: Service) -> None:
    reader = service.client("default", SCRAPE_SCOPES)
    assert written(reader, gpu(1e9)).status_code == 403


def test_an_agents_key_writes_as_an_importer(service: Service) -> None:
    agent = service.client("default", AGENT_SCOPES)
    assert written(agent, gpu(1e9, 1.009e9)).status_code == 204
    assert energy(service.admin) == 9_000_000


def test_a_teams_key_writes_for_its_team_alone(service: Service) -> None:
    team = service.client("blue")
    theirs = a_pod("x-6d5f7c9b8d-abcde", "blue")
    assert written(team, gpu(1e9, 1.009e9, labels=theirs)).status_code == 204
    assert energy(service.admin, "blue/x") == 9_000_000
    other = prometheus(DCGM, {"UUID": "GPU-9", "Hostname": "n9", **VLLM}, rising(1e9, 1.009e9))
    written(team, other)
    assert "foreign_team" in troubles(service.admin)
    assert energy(service.admin) is None
