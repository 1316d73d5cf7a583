"""The process of roll-ups and the one that answers: however either ends, nothing is wrong after."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from acceptance import Deployment
from agent_double import know_the_cpu
from ingest_house import Load, Sender, send_all_again, wait_a_while
from patience import in_time
from upkeep_house import begun_upkeep, has_ended

from carbon.bench.serving import service
from faults.test_write_path import (
    assert_all_is_there_once,
    check,
    has_dirty_rollups,
    wait_for_more,
)

pytest_plugins = ["tests.scripted_nvml.plugin"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_database"))
    return f"sqlite:///{tmp_path / 'carbon.db'}"


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_roll_ups_that_are_killed_at_work_are_begun_anew_and_nobody_is_refused(
    url: str, tmp_path: Path, kills: int
) -> None:
    rng = random.Random(kills)
    senders = [Sender(f"s{n}") for n in range(3)]
    with service(url, data_dir=tmp_path) as running:
        killed = None
        for _ in range(kills):
            killed = begun_upkeep(running.process, but=killed)
            with Load([running], senders):
                wait_for_more(senders, rng.randrange(20))
                wait_a_while(rng, 1.0)
                killed.kill()
                wait_for_more(senders, 2)
        begun_upkeep(running.process, but=killed)
        assert [sender.refusals for sender in senders] == [[]] * 3
        send_all_again(running, senders)
        assert in_time(lambda: not has_dirty_rollups(url))
    if url.startswith("sqlite"):
        check(tmp_path)
    assert_all_is_there_once(url, senders, tmp_path)


def test_with_a_killed_server_its_roll_ups_end_and_the_next_one_s_go_on(
    url: str, tmp_path: Path
) -> None:
    senders = [Sender(f"s{n}") for n in range(3)]
    with service(url, data_dir=tmp_path) as running:
        beside = begun_upkeep(running.process)
        with Load([running], senders):
            wait_for_more(senders, 40)
            running.process.kill()
        assert in_time(lambda: has_ended(beside), seconds=20)
    with service(url, data_dir=tmp_path) as running:
        send_all_again(running, senders)
        assert in_time(lambda: not has_dirty_rollups(url))
    assert_all_is_there_once(url, senders, tmp_path)


@pytest.fixture
def deployment(tmp_path: Path, nvml_library: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path) as made:
        know_the_cpu(made.data_dir)
        yield made


def test_a_service_manager_that_tells_every_process_to_end_ends_all_of_them_once(
    deployment: Deployment,
) -> None:
    """Roll-ups wait for the end of who began them, which would begin others else."""
    deployment.up()
    assert deployment.process is not None
    beside = begun_upkeep(psutil.Process(deployment.process.pid))
    told = "carbon_roll_up_lag_seconds "
    assert in_time(lambda: told in httpx2.get(f"{deployment.url}/metrics").text)
    assert "roll_up_lag_s" in deployment.ask("GET", "/healthz").json()
    for number in (signal.SIGTERM, signal.SIGINT):
        beside.send_signal(number)
    assert not has_ended(beside)
    assert deployment.end() == 0
    assert deployment.processes() == []
    assert has_ended(beside)
    assert "begun anew" not in deployment.log
    assert "Traceback" not in deployment.log
