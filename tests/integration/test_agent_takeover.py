"""A run whose agent dies goes on: measured by the process that runs it, then by the next agent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from agent_double import AgentProcess, wait_until

from carbon.collect.agent_dir import AgentDir
from carbon.collect.lock import Role, read_holder

RUN_A_COMMAND = """
import sys, msgspec
from pathlib import Path
from carbon.client.run import run_command
from carbon.collect.host_agent import AgentOptions
options = AgentOptions(Path(sys.argv[1]), period_s=600)
record = run_command([sys.executable, "-c", sys.argv[2]], "w", {"step": 1}, options=options)
print(msgspec.json.encode(record).decode())
"""


def test_a_run_outlives_its_agent(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    # Ends by itself should the test fail before it opens the gate.
    work = (
        "import os, time\nend = time.monotonic() + 60\n"
        f"while time.monotonic() < end and not os.path.exists({str(gate)!r}): sum(range(100000))"
    )
    with AgentProcess(tmp_path, arguments=("--period-s=600",)) as agent:
        wait_until(agent.has_reading, "a first reading")
        run = subprocess.Popen(
            [sys.executable, "-c", RUN_A_COMMAND, str(tmp_path), work], stdout=subprocess.PIPE
        )
        wait_until(lambda: agent.status().runs, "the run to register")
        start_ms = agent.status().at_ms
        wait_until(lambda: agent.status().at_ms > start_ms + 1_200, "a second of it")
        agent.kill()
    pid_file = AgentDir(tmp_path).pid_file
    wait_until(lambda: (holder := read_holder(pid_file)) and holder.pid == run.pid, "a takeover")
    holder = read_holder(pid_file)
    assert holder is not None
    assert holder.role is Role.EMBEDDED
    wait_until(agent.has_reading, "its first reading")
    gate.touch()
    printed, _ = run.communicate(timeout=30)
    record = json.loads(printed)
    assert record["exit_code"] == 0
    assert record["measured_by"] == "in_process"
    cpu = [i for i in record["intervals"] if i["device"].startswith("CPU")]
    assert min(i["start_ms"] for i in cpu) == record["start_ms"]
    assert max(i["end_ms"] for i in cpu) == record["end_ms"]
    covered_ms = sum(i["end_ms"] - i["start_ms"] for i in cpu)
    # One second of the journal and the time until the next look may be lost, not more.
    assert covered_ms >= record["end_ms"] - record["start_ms"] - 1_500


def test_an_agent_waits_for_a_run_that_samples_for_itself(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    work = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    agent = AgentProcess(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", RUN_A_COMMAND, str(tmp_path), work], stdout=subprocess.PIPE
    ) as run:
        wait_until(AgentDir(tmp_path).pid_file.exists, "the run to sample")
        agent.start()
        assert agent.process.stderr is not None
        wait_until(lambda: b"waits for its turn" in agent.process.stderr.readline(), "the wait")
        gate.touch()
        run.communicate(timeout=30)
    wait_until(agent.is_up, "the agent to take its turn")
    assert agent.status().role == "agent"
    assert agent.terminate() == 0
    agent.__exit__()
