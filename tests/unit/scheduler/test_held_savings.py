"""What a Slurm user's own job saved: by what its nodes' agents saw under Slurm's number of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from held_cluster import Cluster
from job_house import ADMIN, HOUR, NOW, House, fresh_engine
from ledger import ADMIN as SENDER
from ledger import Ledger

from carbon.services.jobs.savings import saving
from carbon.services.rollup.rollup import roll_up
from carbon.wire.jobs import SavingAnswer

KWH = 3_600_000_000
MINUTE = 60_000


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    """Where energy is priced by what is published."""
    return Cluster.of(House.build(fresh_engine(), tmp_path, "DE"))


@pytest.fixture
def ledger(cluster: Cluster) -> Iterator[Ledger]:
    made = Ledger(cluster.house.context)
    yield made
    made.close()


def run_held(cluster: Cluster, *job_ids: str) -> None:
    """Seen at NOW, let go in the clean hour two hours later, ended after another one."""
    cluster.house.forecast(400, 300, 100, 200, 200, 400, 400, 400, 400)
    for job_id in job_ids:
        cluster.slurm.hold(job_id)
    cluster.scheduler.tick()
    cluster.pass_time(2 * 3600)
    assert cluster.slurm.let_go == list(job_ids)
    cluster.pass_time(3600)
    for job_id in job_ids:
        cluster.slurm.end(job_id, 0)
    cluster.pass_time(0)


def draw(
    ledger: Ledger, subject: str, workload: str | None, energy_mj: int = KWH, **others: Any
) -> None:
    """Over the hour in which jobs ran; its device was read beyond that."""
    device = f"gpu of {subject} {workload}"
    begun_ms = others.pop("start_ms", NOW + 2 * HOUR)
    own = {"device": device, "method": "counter", "subject": subject, "workload": workload}
    own |= {"start_ms": begun_ms, "end_ms": begun_ms + HOUR, "energy_mj": energy_mj, **others}
    idle = {"device": device, "method": "counter", "subject": "idle", "energy_mj": 10}
    idle |= {"start_ms": begun_ms + HOUR, "end_ms": begun_ms + HOUR + 1000}
    assert ledger.send([own, idle], SENDER).rejected == []
    roll_up(ledger.context)


def saved(cluster: Cluster, job_id: str) -> SavingAnswer:
    return saving(cluster.house.context, ADMIN, job_id)


def test_a_job_that_was_let_go_has_its_saving_booked(cluster: Cluster, ledger: Ledger) -> None:
    run_held(cluster, "slurm-7-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", "ml/auto-train")
    cluster.pass_time(660)
    told = saved(cluster, "slurm-7-1")
    assert told.booked
    assert told.energy_mj == KWH
    assert (told.actual_g, told.counterfactual_g) == pytest.approx((100, 400))
    assert told.credited_g == pytest.approx(300)


def test_two_jobs_energies_do_not_mix(cluster: Cluster, ledger: Ledger) -> None:
    run_held(cluster, "slurm-7-1", "slurm-77-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", "ml/auto-train")
    draw(ledger, "slurm:77", "ml/auto-train", 3 * KWH)
    assert saved(cluster, "slurm-7-1").energy_mj == KWH
    assert saved(cluster, "slurm-77-1").energy_mj == 3 * KWH


@pytest.mark.parametrize("workload", ["web/auto-train", None])
def test_a_number_that_is_not_known_to_be_the_teams_is_not_taken(
    cluster: Cluster, ledger: Ledger, workload: str | None
) -> None:
    run_held(cluster, "slurm-7-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", workload)
    told = saved(cluster, "slurm-7-1")
    assert (told.energy_mj, told.credited_g, told.flags) == (None, 0, ["no_energy"])


def test_an_earlier_job_of_the_same_number_is_another(cluster: Cluster, ledger: Ledger) -> None:
    run_held(cluster, "slurm-7-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", "ml/auto-train", start_ms=NOW)
    assert saved(cluster, "slurm-7-1").flags == ["no_energy"]


def test_what_the_job_drew_as_a_run_is_added_and_nothing_twice(
    cluster: Cluster, ledger: Ledger
) -> None:
    run_held(cluster, "slurm-7-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", "ml/auto-train")
    draw(ledger, "idle", "ml/auto-train", 2 * KWH, run="slurm-7-1-1")
    assert saved(cluster, "slurm-7-1").energy_mj == 3 * KWH


def test_modelled_energy_earns_nothing(cluster: Cluster, ledger: Ledger) -> None:
    run_held(cluster, "slurm-7-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", "ml/auto-train", method="modelled")
    told = saved(cluster, "slurm-7-1")
    assert (told.saving_g, told.credited_g) == pytest.approx((300, 0))


def test_an_array_is_no_one_job(cluster: Cluster, ledger: Ledger) -> None:
    """Its engine names no number of it: the last task alone would stand for all."""
    cluster.slurm.is_array = True
    run_held(cluster, "slurm-7-1")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:7", "ml/auto-train")
    assert saved(cluster, "slurm-7-1").flags == ["no_energy"]


def run_tasks(cluster: Cluster, *subjects: str) -> None:
    """As `run_held`, of what the engine tells to consist of those, one after the other."""
    cluster.slurm.is_array = True
    cluster.house.forecast(400, 300, 100, 200, 200, 400, 400, 400, 400)
    cluster.slurm.hold("slurm-7-1")
    cluster.scheduler.tick()
    cluster.pass_time(2 * 3600)
    for subject in subjects:
        seen = cluster.slurm.attempts["slurm-7-1"]
        cluster.slurm.attempts["slurm-7-1"] = replace(seen, subjects=(subject,))
        cluster.pass_time(600)
    cluster.pass_time(3600 - 600 * len(subjects))
    cluster.slurm.end("slurm-7-1", 0)
    forgotten = cluster.slurm.attempts["slurm-7-1"]
    cluster.slurm.attempts["slurm-7-1"] = replace(forgotten, subjects=())
    cluster.pass_time(0)


@pytest.mark.parametrize("kind", ["slurm", "pod"])
def test_what_its_tasks_or_pods_drew_is_the_jobs_though_the_engine_forgets_them(
    cluster: Cluster, ledger: Ledger, kind: str
) -> None:
    run_tasks(cluster, f"{kind}:8", f"{kind}:9")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    for key, energy_mj in (("8", KWH), ("9", 2 * KWH), ("10", 5 * KWH)):
        draw(ledger, f"{kind}:{key}", "ml/auto-train", energy_mj)
    cluster.pass_time(660)
    told = saved(cluster, "slurm-7-1")
    assert (told.booked, told.energy_mj) == (True, 3 * KWH)
    assert (told.actual_g, told.counterfactual_g) == pytest.approx((300, 1200))


def test_a_task_of_another_teams_is_not_taken(cluster: Cluster, ledger: Ledger) -> None:
    run_tasks(cluster, "slurm:8")
    ledger.intensity(NOW, [400, 300, 100, 200, 200])
    draw(ledger, "slurm:8", "web/auto-train")
    assert saved(cluster, "slurm-7-1").flags == ["no_energy"]
