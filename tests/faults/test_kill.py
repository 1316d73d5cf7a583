"""kill -9 of the server and of the agent: what was drawn meanwhile is not lost."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from acceptance import Deployment, TwoGpus, burn, last_json
from acceptance.test_main_job import epoch_ms
from agent_double import know_the_cpu

pytest_plugins = ["tests.scripted_nvml.plugin"]

WITHIN = 0.005
#: What a journal written each second may lack.
JOURNAL_MS = 1_000


@pytest.fixture
def gpus(tmp_path: Path) -> TwoGpus:
    return TwoGpus(tmp_path)


@pytest.fixture
def deployment(tmp_path: Path, gpus: TwoGpus, nvml_library: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path, **gpus.env(nvml_library)) as made:
        know_the_cpu(made.data_dir)
        made.up()
        made.wait_for_agent(devices=4)
        yield made


def begin_run(deployment: Deployment, seconds: float, *options: str) -> subprocess.Popen[str]:
    """`carbon run` of a command that is at work by now."""
    unit = ("--unit", "request=1000", "--json")
    command = ("--", *burn(seconds))
    running = deployment.begin("run", "--workload", "demo", *unit, *options, *command)
    assert running.stdout is not None
    assert running.stdout.readline() == "burning\n"
    time.sleep(1)  # the kill falls into the run, not onto its edge
    return running


def outcome(running: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = running.communicate(timeout=40)
    assert running.returncode == 0, errors
    return last_json(output)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == pid], timeout=5)


def wait_for_another_agent(deployment: Deployment, killed: int) -> None:
    def is_there() -> bool:
        status = deployment.agent_status()
        return status.get("role") == "agent" and status["pid"] != killed

    deployment.wait_for("another agent", is_there)


def kill_server(deployment: Deployment) -> None:
    assert deployment.end(signal.SIGKILL) == -signal.SIGKILL


def is_delivered(deployment: Deployment, run: str) -> bool:
    """Counts come last, so that with them all of the energy is there."""
    done = deployment.carbon("sci", "demo", "--run", run, "--json")
    return done.returncode == 0 and last_json(done.stdout)["count"] == 1000


def readings(deployment: Deployment) -> list[tuple[str, str, int, int, int]]:
    """(device, subject, start_ms, end_ms, energy_mj) of every GPU interval in the ledger."""
    query = """
        SELECT d.uuid, s.kind, i.end_ms - i.span_ms, i.end_ms, i.energy_mj
        FROM energy_interval i JOIN meter m ON m.id = i.meter_id
        JOIN device d ON d.id = m.device_id JOIN subject s ON s.id = i.subject_id
        WHERE d.uuid LIKE 'GPU-%' ORDER BY d.uuid, i.end_ms"""
    with closing(sqlite3.connect(deployment.data_dir / "carbon.db")) as database:
        return database.execute(query).fetchall()


def test_a_run_outlives_its_server_and_the_next_one_answers_for_it(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    running = begin_run(deployment, 5)
    agent = deployment.agent_pid
    kill_server(deployment)
    assert psutil.pid_exists(agent)
    deployment.up()
    assert f"agent     pid {agent} (found running)" in deployment.log
    told = outcome(running)
    deployment.wait_for("delivery", lambda: is_delivered(deployment, told["run_id"]))
    asked = deployment.get("/v1/workloads/demo/sci", run=told["run_id"])
    true_mj = gpus.energy_mj(epoch_ms(asked["start"]), epoch_ms(asked["end"]))
    assert asked["energy_mj"] * asked["methods"]["counter"] == pytest.approx(true_mj, rel=WITHIN)
    assert asked["coverage"] == pytest.approx(1.0, abs=0.001)
    assert asked["count"] == 1000


def test_a_run_that_ends_without_a_server_is_delivered_to_the_next(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    running = begin_run(deployment, 2.5)
    kill_server(deployment)
    told = outcome(running)
    assert "local_estimate" in told["flags"]
    deployment.up()
    deployment.wait_for("delivery", lambda: is_delivered(deployment, told["run_id"]))
    asked = deployment.get("/v1/workloads/demo/sci", run=told["run_id"])
    true_mj = gpus.energy_mj(epoch_ms(asked["start"]), epoch_ms(asked["end"]))
    assert (asked["energy_mj"], asked["count"]) == (told["energy_mj"], told["count"])
    assert asked["energy_mj"] * asked["methods"]["counter"] == pytest.approx(true_mj, rel=WITHIN)


def test_a_run_that_holds_the_gpus_loses_nothing_with_the_agent(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    """The rise of the counters over the outage is the holder's."""
    running = begin_run(deployment, 5, "--reserve")
    killed = deployment.agent_pid
    kill(killed)
    told = outcome(running)
    true_mj = gpus.energy_mj(epoch_ms(told["start"]), epoch_ms(told["end"]))
    methods = told["methods"]
    measured_mj = told["energy_mj"] * (methods["counter"] + methods["bridged"])
    assert measured_mj == pytest.approx(true_mj, rel=WITHIN)
    wait_for_another_agent(deployment, killed)


def test_of_a_run_on_shared_gpus_the_outage_is_nobodys_and_all_is_in_the_ledger(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    running = begin_run(deployment, 5)
    kill(deployment.agent_pid)
    told = outcome(running)
    start_ms, end_ms = epoch_ms(told["start"]), epoch_ms(told["end"])
    deployment.wait_for("delivery", lambda: is_delivered(deployment, told["run_id"]))
    rows = [row for row in readings(deployment) if start_ms <= row[2] and row[3] <= end_ms]
    assert sum(row[4] for row in rows) == pytest.approx(
        gpus.energy_mj(start_ms, end_ms), rel=WITHIN
    )
    for device in {row[0] for row in rows}:
        assert_without_hole([row for row in rows if row[0] == device])
    nobodys_ms = max(row[3] - row[2] for row in rows if row[1] == "unattributed")
    own_mj = told["energy_mj"] * told["methods"]["counter"]
    lost_mj = gpus.energy_mj(start_ms, end_ms) - own_mj
    assert lost_mj == pytest.approx(
        sum(row[4] for row in rows if row[1] == "unattributed"), rel=0.05
    )
    assert nobodys_ms < 2 * JOURNAL_MS


def assert_without_hole(rows: list[tuple[str, str, int, int, int]]) -> None:
    spans = sorted({(row[2], row[3]) for row in rows})
    for (_, end_ms), (start_ms, _) in pairwise(spans):
        assert start_ms <= end_ms


def test_a_killed_agent_is_started_anew_and_its_counters_bridge_the_gap(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    killed = deployment.agent_pid
    kill(killed)
    wait_for_another_agent(deployment, killed)
    deployment.wait_for_agent(devices=4)
    assert f"the agent {killed} ended, {deployment.agent_pid} goes on for it" in deployment.log
    time.sleep(1)
    assert deployment.end() == 0
    rows = readings(deployment)
    start_ms, end_ms = min(row[2] for row in rows), max(row[3] for row in rows)
    drawn_mj = sum(row[4] for row in rows)
    assert drawn_mj == pytest.approx(gpus.energy_mj(start_ms, end_ms), rel=WITHIN)
    for device in {row[0] for row in rows}:
        assert_without_hole([row for row in rows if row[0] == device])
