"""Jobs on Kubernetes against an API server that holds objects against the published schemas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from carbon.clock import FakeClock, SystemClock
from carbon.errors import InvalidInput
from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, LookState
from carbon.executors.kubernetes import ClientApi, KubernetesExecutor
from carbon.executors.kubernetes_release import KubernetesReleaseExecutor

client = pytest.importorskip("kubernetes.client", reason="pip install '.[kubernetes-tests]'")
pytest.importorskip("kubernetes_validate", reason="pip install '.[kubernetes-tests]'")
double = pytest.importorskip("kubernetes_double")

HANDLE = Handle("job_1-1")


@dataclass
class House:
    cluster: Any
    api: ClientApi
    engine: KubernetesExecutor
    releaser: KubernetesReleaseExecutor

    def start(self, *command: str, **spec: Any) -> str:
        told = {"command": list(command) or ["true"], **spec}
        return self.engine.start(AttemptSpec("job_1-1", (), spec=told, env={"A": "1"}))

    def hold(self, name: str = "train", **metadata: Any) -> str:
        """A user's own suspended Job; its uid."""
        job: dict[str, Any] = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": {"carbon/deferrable": "true"},
                "annotations": {"carbon/deadline": "8h"},
                **metadata,
            },
            "spec": {
                "suspend": True,
                "activeDeadlineSeconds": 3600,
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "busybox", "command": ["true"]}],
                    }
                },
            },
        }
        self.api.create_job("ml", job)
        return str(self.cluster.jobs["ml", name]["metadata"]["uid"])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with double.api_server(tmp_path) as (address, cluster):
        api = ClientApi(client.Configuration(host=address))
        engine = KubernetesExecutor(api, "ml", "busybox")
        yield House(cluster, api, engine, KubernetesReleaseExecutor(api, SystemClock()))


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    assert is_so()


def test_the_answer_to_a_creation_is_lost_and_it_runs_once(house: House) -> None:
    house.cluster.loses_answers = True
    with pytest.raises(ExecutorAway):
        house.start()
    house.cluster.loses_answers = False
    house.start()
    until(lambda: house.engine.look(HANDLE).state is LookState.ENDED)
    assert house.cluster.begun == ["job-1-1"]


def test_a_queue_of_kueues_lets_the_job_begin(house: House) -> None:
    house.start(queue="team-queue", requests={"nvidia.com/gpu": "1"}, service_account="trainer")
    job = house.cluster.jobs["ml", "job-1-1"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-queue"
    assert job["spec"]["suspend"] is True
    assert house.engine.look(HANDLE).state is LookState.PENDING
    house.api.patch_job("ml", "job-1-1", {"spec": {"suspend": False}})  # as Kueue would
    until(lambda: house.engine.look(HANDLE).exit_code == 0)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"command": []},
        {"command": "true"},
        {"command": ["true"], "image": 3},
        {"command": ["true"], "manifest": {}},
        {"command": ["true"], "limits": {"cpu": 1}},
        {"command": ["true"], "queue": ""},
    ],
)
def test_a_spec_that_makes_no_job_is_refused(house: House, spec: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as refused:
        house.engine.check(spec, "ml")
    assert refused.value.code == "invalid_spec"


def test_a_job_without_an_image_is_refused(house: House) -> None:
    with pytest.raises(InvalidInput, match="CARBON_KUBERNETES_IMAGE"):
        KubernetesExecutor(house.api, "ml").check({"command": ["true"]}, "ml")


def test_what_the_schemas_refuse_is_told_in_the_servers_words(house: House) -> None:
    house.start(queue="q")
    with pytest.raises(ExecutorAway, match=r"422.*suspendd"):
        house.api.patch_job("ml", "job-1-1", {"spec": {"suspendd": True}})
    with pytest.raises(ExecutorAway, match="422"):
        house.api.patch_job("ml", "job-1-1", {"spec": {"template": {"spec": {"hostname": "h"}}}})
    with pytest.raises(ExecutorAway):
        house.engine.start(
            AttemptSpec("job-2", (), spec={"command": ["x"], "limits": {"cpu": {"a": "b"}}})
        )


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_server_in_trouble_is_away(house: House, status: int) -> None:
    house.cluster.broken = status
    with pytest.raises(ExecutorAway, match=str(status)):
        house.engine.look(HANDLE)


def test_a_server_that_is_not_there_is_away() -> None:
    api = ClientApi(client.Configuration(host="http://127.0.0.1:9"))
    with pytest.raises(ExecutorAway):
        KubernetesExecutor(api, "ml", "x").start(AttemptSpec("job-1", ("true",)))


def test_a_users_job_is_seen_and_let_go_once(house: House) -> None:
    uid = house.hold()
    (job,) = house.releaser.held()
    assert (job.job_id, job.team, job.name) == (f"k8s-{uid}", "ml", "train")
    assert (job.limit_ms, job.deadline_ms - job.submitted_ms) == (3_600_000, 8 * 3_600_000)
    assert job.latest_ms == job.deadline_ms - 3_600_000 - 60_000
    handle = Handle(f"k8s-{uid}-1")
    assert house.releaser.look(handle).state is LookState.ABSENT
    for _ in range(3):
        house.releaser.start(AttemptSpec(f"k8s-{uid}-1", ()))
    until(lambda: _fresh(house).look(handle).exit_code == 0)
    assert house.cluster.begun == ["train"]


def _fresh(house: House) -> KubernetesReleaseExecutor:
    """One that has seen nothing yet."""
    return KubernetesReleaseExecutor(house.api)


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app": "x"}},
        {"annotations": {}},
        {"annotations": {"carbon/deadline": "whenever"}},
        {"labels": {"carbon/deferrable": "true", "kueue.x-k8s.io/queue-name": "q"}},
    ],
)
def test_others_are_left_alone(house: House, metadata: dict[str, Any]) -> None:
    house.hold(**metadata)
    assert house.releaser.held() == []


def test_its_own_words_outweigh_what_is_computed(house: House) -> None:
    told = {
        "carbon/deadline": "2099-01-01T08:00:00Z",
        "carbon/latest-start": "2099-01-01T05:00:00Z",
        "carbon/length": "2h",
        "carbon/power-w": "300",
    }
    house.hold(annotations=told)
    (job,) = house.releaser.held()
    assert (job.deadline_ms - job.latest_ms, job.limit_ms) == (3 * 3_600_000, 2 * 3_600_000)
    assert job.power_w == 300


def test_cancelling_a_users_job_deletes_it(house: House) -> None:
    uid = house.hold()
    house.releaser.cancel(Handle(f"k8s-{uid}-0"))
    house.releaser.cancel(Handle(f"k8s-{uid}-0"))
    assert house.cluster.jobs == {}
    look = _fresh(house).look(Handle(f"k8s-{uid}-1"))
    assert (look.state, look.start_ms, look.exit_code) == (LookState.ENDED, None, None)


def test_all_jobs_are_listed_once_a_second(house: House) -> None:
    clock = FakeClock()
    releaser = KubernetesReleaseExecutor(house.api, clock)
    uid = house.hold()
    releaser.held()
    del house.cluster.jobs["ml", "train"]
    assert releaser.look(Handle(f"k8s-{uid}-1")).state is LookState.ABSENT
    clock.advance(2)
    assert releaser.look(Handle(f"k8s-{uid}-1")).state is LookState.ENDED
