"""Ctrl-C and SIGTERM: a clean end, at once, with nothing left behind or undelivered."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from acceptance import Deployment, TwoGpus, burn, last_json
from agent_double import know_the_cpu
from ledger import interval
from service import batch

from carbon.domain.units import MS_PER_DAY

pytest_plugins = ["tests.scripted_nvml.plugin"]


@pytest.fixture
def deployment(tmp_path: Path, nvml_library: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path, **TwoGpus(tmp_path).env(nvml_library)) as made:
        know_the_cpu(made.data_dir)
        yield made


def undelivered(deployment: Deployment) -> int:
    with closing(sqlite3.connect(deployment.data_dir / "agent/spool.db")) as spool:
        return int(spool.execute("SELECT count(*) FROM batch").fetchone()[0])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_and_leaves_nothing_behind(
    deployment: Deployment, number: signal.Signals
) -> None:
    deployment.up()
    deployment.wait_for_agent(devices=2)
    assert deployment.end(number) == 0
    assert deployment.processes() == []
    assert not (deployment.data_dir / "server.json").exists()
    assert undelivered(deployment) == 0
    assert "stopped" in deployment.log
    assert "Traceback" not in deployment.log + deployment.agent_log


@pytest.mark.parametrize(
    ("line", "number"), [("carbon is at", signal.SIGTERM), ("agent     pid", signal.SIGINT)]
)
def test_it_stops_while_it_still_starts(
    deployment: Deployment, line: str, number: signal.Signals
) -> None:
    deployment.start()
    deployment.wait_for(f"line {line!r}", lambda: line in deployment.log)
    assert deployment.end(number) == 0
    assert deployment.processes() == []
    assert not (deployment.data_dir / "server.json").exists()
    assert "Traceback" not in deployment.log


def test_it_stops_while_a_page_is_open_and_a_command_runs(deployment: Deployment) -> None:
    """The command goes on and measures itself; the next server gets its run."""
    deployment.up()
    deployment.wait_for_agent(devices=2)
    running = deployment.begin("run", "--workload", "demo", "--json", "--", *burn(3))
    assert running.stdout is not None
    assert running.stdout.readline() == "burning\n"
    with httpx2.Client(base_url=deployment.url) as browser:
        assert browser.get("/sign-in").status_code == 200  # its connection stays open
        assert deployment.end(signal.SIGINT) == 0
    output, _ = running.communicate(timeout=30)
    told = last_json(output)
    assert running.returncode == 0
    assert told["energy_mj"] > 0
    assert deployment.processes() == []
    deployment.up()

    def is_delivered() -> bool:
        asked = deployment.carbon("sci", "demo", "--run", told["run_id"], "--json")
        return asked.returncode == 0 and last_json(asked.stdout)["energy_mj"] == told["energy_mj"]

    deployment.wait_for("delivery", is_delivered)


def rolled(deployment: Deployment) -> int:
    with closing(sqlite3.connect(deployment.data_dir / "carbon.db")) as ledger:
        return int(ledger.execute("SELECT count(*) FROM bucket").fetchone()[0])


@pytest.mark.slow
def test_it_stops_while_a_call_waits_for_a_long_roll_up(deployment: Deployment) -> None:
    """Who waits is told to ask the next server, and the process ends: 31 days in one interval took
    a minute to roll up, and as long to stop."""
    deployment.up()
    deployment.wait_for_agent(devices=2)
    end_ms = int(time.time() * 1000)
    month = interval(end_ms - 31 * MS_PER_DAY, end_ms, 10**9, "month", workload="old")
    deployment.post("/v1/energy", batch(month))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(deployment.ask, "GET", "/v1/workloads/old/sci")
        deployment.wait_for("roll-up", lambda: rolled(deployment) > 50)
        assert deployment.end() == 0
        assert asked.result().status_code in (200, 503)  # 200 where a machine is that quick
    assert deployment.processes() == []
    assert "Traceback" not in deployment.log
