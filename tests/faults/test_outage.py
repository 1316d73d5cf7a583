"""A bad day: server and agent killed at random, and a disk that takes nothing for seconds.

In the end the ledger holds what the GPUs drew, once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from acceptance import Deployment, TwoGpus
from agent_double import know_the_cpu

pytest_plugins = ["tests.scripted_nvml.plugin"]

#: A look is a few ms beside the moment it is stamped with: that much of the highest power of both.
EDGE_MJ = 2 * 700_000 * 0.05
LAST_SECOND_MS = 1_000
PERIOD_MS = 1_000


@pytest.fixture
def gpus(tmp_path: Path) -> TwoGpus:
    return TwoGpus(tmp_path)


@pytest.fixture
def deployment(tmp_path: Path, gpus: TwoGpus, nvml_library: Path) -> Iterator[Deployment]:
    period = {"CARBON_AGENT_PERIOD_S": str(PERIOD_MS // 1000)}
    with Deployment(tmp_path, **gpus.env(nvml_library), **period) as made:
        know_the_cpu(made.data_dir)
        made.up()
        made.wait_for_agent(devices=4)
        yield made


@contextmanager
def stalled(database: Path) -> Iterator[None]:
    """Nothing is written to it meanwhile, as on a disk that hangs."""
    with closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        yield
        held.execute("ROLLBACK")


class BadDay:
    def __init__(self, deployment: Deployment, chance: random.Random) -> None:
        self.deployment, self.chance = deployment, chance
        self.count = dict.fromkeys(("server", "agent", "agents_disk", "servers_disk"), 0)

    def go_on(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._happen(self.chance.choice(list(self.count)))
            self._wait(0.2, 1.5)

    def _happen(self, what: str) -> None:
        data_dir = self.deployment.data_dir
        self.count[what] += 1
        if what == "server":
            assert self.deployment.end(signal.SIGKILL) == -signal.SIGKILL
            self._wait(0.1, 3.0)
            if self.chance.random() < 0.5:
                self._kill_agent()  # nobody is there to start it anew
                self._wait(0.1, 2.0)
            self.deployment.up()
        elif what == "agent":
            self._kill_agent()
        elif what == "agents_disk":
            with stalled(data_dir / "agent" / "spool.db"):
                self._wait(0.5, 2.5)
        else:
            with stalled(data_dir / "carbon.db"):
                self._wait(0.5, 2.5)

    def _kill_agent(self) -> None:
        status = self.deployment.agent_status()
        if "pid" in status:
            os.kill(status["pid"], signal.SIGKILL)

    def _wait(self, least_s: float, most_s: float) -> None:
        time.sleep(self.chance.uniform(least_s, most_s))


Row = tuple[str, int, int, int]


def rows(deployment: Deployment) -> list[Row]:
    """(device, start_ms, end_ms, energy_mj) of every GPU interval in the ledger."""
    query = """
        SELECT d.uuid, i.end_ms - i.span_ms, i.end_ms, sum(i.energy_mj)
        FROM energy_interval i JOIN meter m ON m.id = i.meter_id
        JOIN device d ON d.id = m.device_id
        WHERE d.uuid LIKE 'GPU-%' GROUP BY 1, 2, 3 ORDER BY 1, 3"""
    with closing(sqlite3.connect(deployment.data_dir / "carbon.db")) as database:
        return database.execute(query).fetchall()


def conflicts(deployment: Deployment) -> int:
    with closing(sqlite3.connect(deployment.data_dir / "carbon.db")) as database:
        return int(database.execute("SELECT count(*) FROM interval_conflict").fetchone()[0])


def check(deployment: Deployment, gpus: TwoGpus) -> None:
    deployment.wait_for_agent(devices=4)
    time.sleep(2 * PERIOD_MS / 1000)
    assert deployment.end() == 0
    ended_ms = time.time_ns() // 1_000_000
    found = rows(deployment)
    by_device = {uuid: [r for r in found if r[0] == uuid] for uuid in {r[0] for r in found}}
    assert len(by_device) == 2
    start_ms = min(row[1] for row in found)
    end_ms = max(row[2] for row in found)
    for own in by_device.values():
        for before, after in pairwise(own):
            assert before[2] <= after[1], "two rows speak of one moment"
            assert after[1] <= before[2], "a moment of which no row speaks"
    drawn_mj = sum(row[3] for row in found)
    assert drawn_mj == pytest.approx(gpus.energy_mj(start_ms, end_ms), abs=EDGE_MJ)
    # The last agent ends in good order: it leaves no more than its end takes.
    assert ended_ms - end_ms < 3 * LAST_SECOND_MS
    assert conflicts(deployment) == 0


@pytest.mark.slow
def test_some_seconds_of_it_lose_nothing_and_count_nothing_twice(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    day = BadDay(deployment, random.Random(5))
    for what in day.count:
        day._happen(what)
        time.sleep(0.7)
    check(deployment, gpus)


@pytest.mark.slow
def test_ten_minutes_of_it_lose_nothing_and_count_nothing_twice(
    deployment: Deployment, gpus: TwoGpus
) -> None:
    day = BadDay(deployment, random.Random(17))
    day.go_on(float(os.environ.get("OUTAGE_S", "600")))
    assert min(day.count.values()) > 0
    check(deployment, gpus)
