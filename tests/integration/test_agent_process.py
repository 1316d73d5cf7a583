"""The agent as a process: delivery, kills, a server that goes and comes, one sampler a host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from agent_double import AgentProcess, RecordingServer, free_port, wait_until
from agent_double.server import Answer, accept_all

from carbon.collect.host_agent import Agent, AgentOptions
from carbon.collect.lock import AgentBusy


def leave_address(data_dir: Path, server: RecordingServer) -> None:
    data_dir.mkdir(exist_ok=True)
    address = {"url": server.url, "agent_key": "agent-key", "admin_key": "admin-key"}
    (data_dir / "server.json").write_text(json.dumps(address))


def devices_of(intervals: list[dict[str, Any]]) -> set[str]:
    return {interval["device"] for interval in intervals}


def assert_in_order(intervals: list[dict[str, Any]]) -> None:
    for device in devices_of(intervals):
        spans = sorted({(i["start_ms"], i["end_ms"]) for i in intervals if i["device"] == device})
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_energy_reaches_the_server_with_its_key_and_the_rest_when_the_agent_ends(
    tmp_path: Path,
) -> None:
    with RecordingServer() as server:
        leave_address(tmp_path, server)
        with AgentProcess(tmp_path) as agent:
            wait_until(lambda: len(server.taken) >= 2, "two batches")
            assert agent.status().server == server.url
            assert agent.terminate() == 0
        intervals = server.intervals()
    assert {key for _, _, key in server.taken} == {"agent-key"}
    assert len(devices_of(intervals)) == 2
    assert {i["method"] for i in intervals} == {"modelled"}
    assert_in_order(intervals)
    cpu = [i for i in intervals if i["device"].startswith("CPU")]
    covered_ms = sum(end - start for start, end in {(i["start_ms"], i["end_ms"]) for i in cpu})
    assert covered_ms == max(i["end_ms"] for i in cpu) - min(i["start_ms"] for i in cpu)
    assert not (tmp_path / "agent" / "agent.pid").exists()


def test_a_killed_agents_successor_delivers_its_spool_and_journal(tmp_path: Path) -> None:
    """No server, a kill in the middle of a period, a new agent, a server."""
    port = free_port()
    with AgentProcess(tmp_path, arguments=("--period-s=600",)) as agent:
        wait_until(agent.has_reading, "a second to be journalled")
        start_ms = agent.start_run("r1").at_ms
        wait_until(lambda: agent.status().at_ms > start_ms + 2_200, "two seconds of a period")
        killed_ms = agent.status().at_ms
        agent.kill()
    with RecordingServer(port=port) as server:
        leave_address(tmp_path, server)
        with AgentProcess(tmp_path) as agent:
            wait_until(lambda: server.intervals(), "the left-over")
            assert agent.end_run("r1").start_ms == start_ms
    last_ms = max(i["end_ms"] for i in server.taken[-1][1]["intervals"])
    assert last_ms >= killed_ms - 1_300
    intervals = server.intervals()
    assert any(i["end_ms"] >= killed_ms - 1_300 for i in intervals)
    assert_in_order(intervals)


def test_a_server_that_goes_and_comes_back_on_another_port_misses_nothing(tmp_path: Path) -> None:
    with RecordingServer() as first:
        leave_address(tmp_path, first)
        agent = AgentProcess(tmp_path, arguments=("--period-s=0.2",))
        with agent:
            wait_until(lambda: len(first.taken) >= 2, "batches at the first server")
            first.stop()
            wait_until(lambda: agent.status().spool_depth >= 3, "batches that wait")
            with RecordingServer() as second:
                leave_address(tmp_path, second)
                wait_until(lambda: agent.status().spool_depth == 0, "the spool to empty")
                seqs = [body["seq"] for server in (first, second) for _, body, _ in server.taken]
                assert sorted(set(seqs)) == list(range(1, max(seqs) + 1))
                assert agent.terminate() == 0


def test_a_poisoned_batch_is_set_aside_and_the_others_pass(tmp_path: Path) -> None:
    def behave(path: str, body: dict[str, Any]) -> Answer:
        if body.get("seq") == 2:
            return 422, {}, {"code": "unknown_zone", "detail": "no such zone"}
        return accept_all(path, body)

    with RecordingServer(behave) as server:
        leave_address(tmp_path, server)
        with AgentProcess(tmp_path, arguments=("--period-s=0.3",)) as agent:
            wait_until(lambda: len(server.taken) >= 3, "the batches after the poison")
            (refused,) = agent.status().refused
    assert (refused.seq, refused.status) == (2, 422)
    assert "unknown_zone" in refused.answer
    assert 2 not in [body["seq"] for _, body, _ in server.taken]


def test_a_second_agent_sees_the_first_and_ends_well(tmp_path: Path) -> None:
    with AgentProcess(tmp_path) as agent:
        second = AgentProcess(tmp_path).start()
        _, said = second.process.communicate(timeout=30)
        assert second.process.returncode == 0
        assert b"an agent runs already" in said
        assert agent.is_up()
        with pytest.raises(AgentBusy, match=str(agent.process.pid)):
            Agent(AgentOptions(tmp_path)).start()


def test_two_runs_at_once_get_what_each_of_them_drew(tmp_path: Path) -> None:
    busy = "while True: pass"
    with AgentProcess(tmp_path) as agent:
        wait_until(agent.has_reading, "a first reading")
        children = {}
        for run in ("busy", "calm"):
            children[run] = subprocess.Popen(
                [sys.executable, "-c", busy if run == "busy" else "import time; time.sleep(60)"],
                env={**os.environ, "CARBON_RUN": run, "CARBON_WORKLOAD": run},
            )
            start_ms = agent.start_run(run, children[run].pid).at_ms
        wait_until(lambda: agent.status().at_ms > start_ms + 1_500, "some work")
        ended = {run: agent.end_run(run) for run in children}
        for child in children.values():
            child.kill()
            child.wait()
    cpu_mj = {
        run: sum(i.energy_mj for i in end.intervals if i.device.startswith("CPU"))
        for run, end in ended.items()
    }
    assert cpu_mj["busy"] > 1_000
    assert cpu_mj["calm"] < cpu_mj["busy"] / 5
    assert {source.kind for source in ended["busy"].sources} == {"cpu", "dram"}


def test_one_reading_is_printed(tmp_path: Path) -> None:
    agent = AgentProcess(tmp_path, arguments=("--once",)).start()
    printed, _ = agent.process.communicate(timeout=30)
    reading = json.loads(printed)
    assert {device["kind"] for device in reading["devices"]} == {"cpu", "dram"}
    for device in reading["devices"]:
        assert sum(device["subjects"].values()) == pytest.approx(device["watts"])
