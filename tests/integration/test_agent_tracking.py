"""`carbon.track` and `carbon.units` beside a running agent."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from agent_double import AgentProcess, RecordingServer, wait_until

import carbon
from carbon.client.unit_counts import UnitBuffer


@pytest.fixture
def agent_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CARBON_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("CARBON_URL", raising=False)
    return tmp_path


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_blocks_are_measured_by_the_agent_and_leave_nothing_open(agent_dir: Path) -> None:
    with AgentProcess(agent_dir):
        with carbon.track("warm"):
            pass
        open_files, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        for _ in range(10):
            with carbon.track("block") as tracker:
                sum(range(200_000))
            assert tracker.measured is not None
            assert tracker.measured.by == "agent"
        wait_until(lambda: threading.active_count() <= threads, "the threads to end")
        # Ten blocks: what each left open would show tenfold. Others of this process may open one.
        assert len(os.listdir("/proc/self/fd")) < open_files + 5


def test_a_block_inside_another_takes_its_energy_for_itself(agent_dir: Path) -> None:
    with AgentProcess(agent_dir), carbon.track("outer") as outer:
        with carbon.track("inner") as inner:
            sum(range(20_000_000))
        sum(range(2_000_000))
    inner_mj, outer_mj = inner.energy_mj or 0, outer.energy_mj or 0
    assert inner_mj > outer_mj


def test_counts_go_through_the_agent_to_the_server(agent_dir: Path) -> None:
    with RecordingServer() as server:
        environment = {"CARBON_URL": server.url, "CARBON_KEY": "k"}
        with AgentProcess(agent_dir, environment):
            buffer = UnitBuffer()
            buffer.add("w", "token", 3)
            buffer.deliver()
            with carbon.track("w", {"page": 2}):
                pass
            wait_until(lambda: len(server.units()) == 2, "both counts")
    assert {(u["unit"], u["count"]) for u in server.units()} == {("token", 3), ("page", 2)}
    assert len({u["source"] for u in server.units()}) == 1


def test_an_agent_that_dies_inside_a_block_does_not_show(agent_dir: Path) -> None:
    with AgentProcess(agent_dir) as agent, carbon.track("w") as tracker:
        agent.kill()
        sum(range(2_000_000))
    assert tracker.measured is not None
    assert tracker.measured.end_ms >= tracker.measured.start_ms
