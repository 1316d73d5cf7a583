"""Two schedulers race and are killed at every step: no job runs twice, none is lost.

`make test-exactly-once` runs all: 1 000 jobs on this machine, 100 on Slurm, 100 on a Kubernetes
of the tests' own, 50 on Ray.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from exactly_once import Open, Outcome, race
from ray_house import ray_address as ray_address
from slurm_house import empty_the_queue
from slurm_house import slurm_cluster as slurm_cluster

from carbon.executors.kubernetes import ClientApi, KubernetesExecutor
from carbon.executors.local import LocalExecutor
from carbon.executors.ray import RayExecutor
from carbon.executors.slurm import SlurmExecutor

pytestmark = pytest.mark.slow


def check(engine: Open, jobs: int, folder: Path) -> None:
    outcome = race(engine, jobs, folder)
    print(outcome)
    assert outcome == Outcome(jobs, outcome.kills, duplicates=0, lost=0)
    assert outcome.kills >= jobs // 4


def test_on_this_machine(tmp_path: Path) -> None:
    check(lambda: LocalExecutor(tmp_path / "jobs"), 1000, tmp_path)


@pytest.mark.slurm
def test_on_slurm(slurm_cluster: Path, tmp_path: Path) -> None:
    check(lambda: SlurmExecutor(tmp_path / "jobs"), 100, tmp_path)
    empty_the_queue()


def test_on_ray(ray_address: str, tmp_path: Path) -> None:
    check(lambda: RayExecutor(ray_address), 50, tmp_path)


def test_on_kubernetes(tmp_path: Path) -> None:
    client = pytest.importorskip("kubernetes.client", reason="pip install '.[kubernetes-tests]'")
    pytest.importorskip("kubernetes_validate", reason="pip install '.[kubernetes-tests]'")
    from kubernetes_double import api_server

    with api_server(tmp_path) as (address, _):
        check(
            lambda: KubernetesExecutor(
                ClientApi(client.Configuration(host=address)), "ml", "busybox"
            ),
            100,
            tmp_path,
        )
