"""`carbon run`: the child's own exit and streams, its energy, and nothing lost without a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from agent_double import RecordingServer, wait_until

from carbon.client.run import run_command
from carbon.collect.agent_dir import AgentDir
from carbon.collect.host_agent import AgentOptions
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb

BURN = "sum(range(20_000_000))"


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def bodies(data_dir: Path) -> list[dict[str, Any]]:
    db = SpoolDb(AgentDir(data_dir).spool)
    found = [json.loads(batch.body) for batch in Spool(db).pending(100, 1 << 53)]
    db.close()
    return found


def test_a_command_has_its_energy_and_all_is_spooled_without_a_server(
    options: AgentOptions,
) -> None:
    record = run_command(python(BURN), "team/w", {"image": 3}, options=options)
    assert record.exit_code == 0
    assert record.measured_by == "in_process"
    assert record.energy_mj > 100
    assert {source.method for source in record.sources} == {"modelled"}
    assert record.start_ms < record.end_ms
    left = bodies(options.data_dir)
    assert record.undelivered is not None
    assert 2 <= record.undelivered <= len(left)
    energy_mj = sum(
        interval["energy_mj"]
        for body in left
        for interval in body.get("intervals", [])
        if interval.get("run") == record.run
    )
    assert energy_mj == record.energy_mj
    counts = [unit for body in left for unit in body.get("units", [])]
    assert [(u["workload"], u["unit"], u["count"]) for u in counts] == [("team/w", "image", 3)]


def test_the_child_knows_its_run_and_workload(options: AgentOptions, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import os, sys\n"
        f"with open({str(told)!r}, 'w') as told:\n"
        "    print(os.environ['CARBON_RUN'], os.environ['CARBON_WORKLOAD'], file=told)"
    )
    record = run_command(python(program), "w", options=options)
    assert told.read_text() == f"{record.run} w\n"


def test_what_the_child_appends_adds_to_what_was_stated(options: AgentOptions) -> None:
    program = (
        "import os\n"
        "with open(os.environ['CARBON_UNITS'], 'a') as made:\n"
        "    print('image 4', file=made); print('token 9', file=made); print('oh', file=made)"
    )
    record = run_command(python(program), "w", {"image": 3}, options=options)
    assert record.units == {"image": 7, "token": 9}


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", 143),
    ],
)
def test_it_exits_as_its_child(options: AgentOptions, program: str, code: int) -> None:
    assert run_command(python(program), "w", options=options).exit_code == code


def test_a_command_that_cannot_start_is_told_apart(options: AgentOptions, tmp_path: Path) -> None:
    missing = run_command(["no-such-command-here"], "w", options=options)
    assert missing.exit_code == 127
    assert "no-such-command-here" in (missing.failure or "")
    assert run_command([str(tmp_path)], "w", options=options).exit_code == 126


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_reach_the_child(
    options: AgentOptions, tmp_path: Path, number: signal.Signals
) -> None:
    """In a session of its own, as under a scheduler: no terminal tells the child."""
    ready = tmp_path / "ready"
    child = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(42))\n"
        f"open({str(ready)!r}, 'w').close()\n"
        "time.sleep(60)"
    )
    parent = (
        "import sys\n"
        "from pathlib import Path\n"
        "from carbon.client.run import run_command\n"
        "from carbon.collect.host_agent import AgentOptions\n"
        f"options = AgentOptions(Path({str(options.data_dir)!r}))\n"
        f"record = run_command([sys.executable, '-c', {child!r}], 'w', options=options)\n"
        "sys.exit(record.exit_code)"
    )
    with subprocess.Popen(
        python(parent), start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        wait_until(ready.exists, "the child")
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
        assert running.returncode == 42, said.decode()


def test_what_was_spooled_is_delivered_before_it_returns(data_dir: Path) -> None:
    with RecordingServer() as server:
        options = AgentOptions(data_dir, period_s=600, url=server.url, key="team-key", zone="DE")
        record = run_command(python(BURN), "w", {"token": 7}, options=options, delivery_s=20.0)
        assert record.undelivered == 0
        sent_mj = sum(i["energy_mj"] for i in server.intervals() if i.get("run") == record.run)
        assert sent_mj == record.energy_mj > 0
        assert [unit["count"] for unit in server.units()] == [7]
        assert {key for _, _, key in server.taken} == {"team-key"}
    subjects = {i.get("subject") for i in server.intervals()}
    assert subjects <= {None, "idle", "unattributed"}


def test_two_commands_at_once_share_one_sampler(options: AgentOptions) -> None:
    """The first samples for both; when it ends, the second goes on by itself."""
    records: list[Any] = []
    parent = (
        "import sys, msgspec\n"
        "from pathlib import Path\n"
        "from carbon.client.run import run_command\n"
        "from carbon.collect.host_agent import AgentOptions\n"
        f"options = AgentOptions(Path({str(options.data_dir)!r}), period_s=600)\n"
        "record = run_command([sys.executable, '-c', sys.argv[1]], sys.argv[2], options=options)\n"
        "print(msgspec.json.encode(record).decode())"
    )

    def command(program: str, workload: str) -> None:
        done = subprocess.run(
            [*python(parent), program, workload], capture_output=True, text=True, check=True
        )
        records.append(json.loads(done.stdout))

    gate = options.data_dir / "gate"
    wait_for_gate = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
    first = threading.Thread(target=command, args=(wait_for_gate + "sum(range(3000000))", "one"))
    first.start()
    wait_until(lambda: AgentDir(options.data_dir).pid_file.exists(), "the first to sample")
    long = wait_for_gate + "import time\nend = time.time() + 2\nwhile time.time() < end: pass"
    second = threading.Thread(target=command, args=(long, "two"))
    second.start()
    wait_until(lambda: _runs(options.data_dir) == 2, "both to run")
    gate.touch()
    first.join(60)
    second.join(60)
    by_workload = {record["workload"]: record for record in records}
    assert by_workload["one"]["measured_by"] == "in_process"
    measured_mj = sum(i["energy_mj"] for i in by_workload["two"]["intervals"])
    assert measured_mj > 500
    covered = [(i["start_ms"], i["end_ms"]) for i in by_workload["two"]["intervals"]]
    assert max(end for _, end in covered) >= by_workload["two"]["end_ms"] - 10


def _runs(data_dir: Path) -> int:
    db = SpoolDb(AgentDir(data_dir).spool)
    rows = db.rows("SELECT count(*) FROM run")
    db.close()
    return int(str(rows[0][0]))


def test_handlers_of_the_caller_are_put_back(options: AgentOptions) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run_command(python("pass"), "w", options=options)
    assert signal.getsignal(signal.SIGTERM) is before
    assert "CARBON_RUN" not in os.environ
