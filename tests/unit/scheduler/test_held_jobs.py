"""Jobs that their users hold at an engine: seen, planned, let go, and never later than theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from held_cluster import Cluster
from job_house import ADMIN, HOUR, NOW, House

from carbon.clock import to_rfc3339
from carbon.errors import Conflicting, NotFound
from carbon.executors.executor import ExecutorAway
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.jobs.scheduler_pause import pause_scheduler
from carbon.wire.jobs import JobChange

DIRTY_THEN_CLEAN = (300, 300, 50, 300, 300, 300, 300, 300, 300)


@pytest.fixture
def cluster(house: House) -> Cluster:
    return Cluster.of(house)


def test_a_held_job_is_seen_planned_and_let_go_in_the_clean_hour(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    seen = cluster.job("slurm-7-1")
    assert (seen.state, seen.reason, seen.workload) == ("waiting", "clean_window", "ml/auto-train")
    assert seen.placement is not None
    assert seen.placement.start == to_rfc3339(NOW + 2 * HOUR)
    cluster.pass_time(2 * 3600)
    assert cluster.slurm.let_go == ["slurm-7-1"]
    assert cluster.job("slurm-7-1").state == "running"


def test_a_job_is_taken_up_once_however_often_and_by_whomever_it_is_seen(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    cluster.pass_time()
    successor = Scheduler(
        cluster.house.context, {"slurm-release": cluster.slurm}, Leader(cluster.house.context, "b")
    )
    cluster.house.clock.advance(60)
    successor.tick()
    assert len(cluster.jobs.page(ADMIN, [], 10, None).jobs) == 1


def test_let_go_twice_it_is_let_go_once(cluster: Cluster) -> None:
    cluster.house.forecast(10, 10, *DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    for _ in range(5):
        cluster.pass_time()
    assert cluster.slurm.let_go == ["slurm-7-1"]


def test_it_is_never_planned_later_than_its_engine_starts_it(cluster: Cluster) -> None:
    cluster.house.forecast(300, 200, 300, 300, 300, 50, 300, 300, 300)
    cluster.slurm.hold("slurm-7-1", latest_ms=NOW + 2 * HOUR)
    cluster.pass_time()
    placed = cluster.job("slurm-7-1").placement
    assert placed is not None
    assert placed.start == to_rfc3339(NOW + HOUR)


@pytest.mark.parametrize("deadline", ["3h", "20h"])
def test_its_deadline_is_its_users_and_another_is_refused_here(
    cluster: Cluster, deadline: str
) -> None:
    """Taken, it would be forgotten at the next look, and the engine would not know of it."""
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    before = cluster.job("slurm-7-1")
    with pytest.raises(Conflicting, match="its user's own at slurm-release") as refused:
        cluster.jobs.change(ADMIN, "slurm-7-1", JobChange(deadline))
    assert refused.value.code == "deadline_elsewhere"
    assert cluster.job("slurm-7-1") == before


def test_its_earliest_start_is_kept(cluster: Cluster) -> None:
    cluster.house.forecast(50, *DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1", earliest_ms=NOW + HOUR)
    cluster.pass_time()
    placed = cluster.job("slurm-7-1").placement
    assert placed is not None
    assert placed.start >= to_rfc3339(NOW + HOUR)


def test_a_deadline_that_its_user_changes_is_planned_with(cluster: Cluster) -> None:
    cluster.house.forecast(300, 200, 300, 300, 300, 50, 300, 300, 300)
    cluster.slurm.hold("slurm-7-1", latest_ms=NOW + 2 * HOUR)
    cluster.pass_time()
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    placed = cluster.job("slurm-7-1").placement
    assert placed is not None
    assert placed.start == to_rfc3339(NOW + 5 * HOUR)


def test_one_that_began_by_itself_is_told_with_its_own_start_and_end(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    cluster.slurm.begin("slurm-7-1")
    began_ms = cluster.house.clock.now_ms()
    cluster.pass_time()
    told = cluster.job("slurm-7-1")
    assert (told.state, told.start, told.reason) == (
        "running",
        to_rfc3339(began_ms),
        "left_the_queue",
    )
    cluster.slurm.end("slurm-7-1", 3)
    cluster.pass_time()
    assert (cluster.job("slurm-7-1").state, cluster.job("slurm-7-1").exit_code) == ("failed", 3)


def test_with_carbon_dead_it_goes_by_itself_and_is_found_afterwards(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN, 50)
    cluster.slurm.hold("slurm-7-1", earliest_ms=NOW + 3 * HOUR)
    cluster.pass_time()
    cluster.house.clock.advance(8 * 3600)
    cluster.slurm.held()  # the engine's own clock
    cluster.pass_time()
    assert cluster.slurm.let_go == []
    assert cluster.job("slurm-7-1").state == "running"


def test_cancelled_by_its_user_it_is_cancelled_here(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    del cluster.slurm.waiting["slurm-7-1"]
    cluster.pass_time()
    assert cluster.job("slurm-7-1").state == "cancelled"


def test_cancelled_here_it_is_cancelled_there(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.pass_time()
    cluster.jobs.cancel(ADMIN, "slurm-7-1")
    cluster.pass_time()
    assert cluster.slurm.cancelled == ["slurm-7-1"]
    cluster.pass_time()
    assert cluster.job("slurm-7-1").state == "cancelled"


def test_carbon_now_and_a_paused_scheduler_let_it_go_at_once(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.slurm.hold("slurm-8-1")
    cluster.pass_time()
    cluster.jobs.start(ADMIN, "slurm-7-1")
    cluster.pass_time()
    assert cluster.slurm.let_go == ["slurm-7-1"]
    pause_scheduler(cluster.house.context, ADMIN, "testing")
    cluster.pass_time()
    assert cluster.slurm.let_go == ["slurm-7-1", "slurm-8-1"]


def test_an_engine_that_is_away_stops_nothing_and_is_seen_again(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1")
    cluster.slurm.away = ExecutorAway("executor_away", "slurmctld is down")
    cluster.pass_time()
    with pytest.raises(NotFound):
        cluster.job("slurm-7-1")
    cluster.slurm.away = None
    cluster.pass_time()
    assert cluster.job("slurm-7-1").state == "waiting"


def test_what_can_stand_in_no_ledger_is_left_to_its_engine(cluster: Cluster) -> None:
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    cluster.slurm.hold("slurm-7-1", team="...", name="x")
    cluster.slurm.hold("slurm-8-1", team="ml/x y", name="///")
    cluster.pass_time()
    with pytest.raises(NotFound):
        cluster.job("slurm-7-1")
    assert cluster.job("slurm-8-1").workload == "ml-x-y/auto-job"


def test_hundreds_are_taken_up_together(tmp_path: Path, house: House) -> None:
    cluster = Cluster.of(house)
    cluster.house.forecast(*DIRTY_THEN_CLEAN)
    for n in range(450):
        cluster.slurm.hold(f"slurm-{n}-1")
    cluster.pass_time()
    cluster.pass_time()
    assert len(cluster.jobs.page(ADMIN, ["waiting"], 500, None).jobs) == 450
