"""The whole agent on scripted GPUs, through the real binding: runs, idle, a kill in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from agent_double import AgentProcess, RecordingServer, wait_until

from carbon.clock import SystemClock
from tests.scripted_nvml import Gpu, Power, Process, Script, write_pids

pytest_plugins = ["tests.scripted_nvml.plugin"]

GPU = "GPU-aaaaaaaa"


@contextmanager
def sleeper(run: str) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        env={**os.environ, "CARBON_RUN": run, "CARBON_WORKLOAD": f"team/{run}"},
    ) as child:
        yield child.pid
        assert child.stdin is not None
        child.stdin.close()


def environment(library: Path, script: Script, folder: Path) -> dict[str, str]:
    return {
        "LD_LIBRARY_PATH": str(library),
        "CARBON_NVML_SCRIPT": str(script.write(folder / "script.txt")),
    }


def test_two_runs_on_one_gpu_and_a_kill(nvml_library: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = Script(
        (
            Gpu(
                GPU,
                Power.constant(300_000),
                processes=(Process("@big", sm_percent=60), Process("@small", sm_percent=30)),
            ),
        ),
        # One zero for both agents: the counter runs on while none looks.
        epoch_ms=SystemClock().now_ms(),
        pids_file=pids,
    )
    env = environment(nvml_library, script, tmp_path)
    with RecordingServer() as server, sleeper("big") as big, sleeper("small") as small:
        write_pids(pids, {"big": [big], "small": [small]})
        env |= {"CARBON_URL": server.url, "CARBON_KEY": "k"}
        with AgentProcess(tmp_path, env) as agent:
            wait_until(lambda: server.taken, "a batch")
            agent.kill()
        with AgentProcess(tmp_path, env) as agent:
            wait_until(
                lambda: any(i["method"] == "bridged" for i in server.intervals()), "the bridge"
            )
            end_ms = agent.status().at_ms + 1_000
            wait_until(lambda: agent.status().at_ms > end_ms, "some more")
            assert agent.terminate() == 0
    gpu = [i for i in server.intervals() if i["device"] == GPU]
    assert {i["method"] for i in gpu} == {"counter", "bridged"}
    span_ms = max(i["end_ms"] for i in gpu) - min(i["start_ms"] for i in gpu)
    energy_mj = sum(i["energy_mj"] for i in gpu)
    assert energy_mj == pytest.approx(300 * span_ms, rel=0.05)
    by_run = {
        run: sum(i["energy_mj"] for i in gpu if i.get("run") == run) for run in ("big", "small")
    }
    assert by_run["big"] == pytest.approx(2 * by_run["small"], rel=0.1)
    assert {i.get("workload") for i in gpu if i.get("run") == "big"} == {"team/big"}
