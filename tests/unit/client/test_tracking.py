"""`carbon.track` and `carbon.units`: measured where possible, and never in the program's way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import carbon
from carbon.client import options
from carbon.client.unit_counts import UnitBuffer
from carbon.collect.agent_dir import AgentDir
from carbon.collect.spool import BodyKind, Spool
from carbon.collect.spool_db import SpoolDb
from carbon.settings import Settings


def spooled(data_dir: Path, kind: BodyKind) -> list[dict[str, Any]]:
    db = SpoolDb(AgentDir(data_dir).spool)
    bodies = [json.loads(b.body) for b in Spool(db).pending(100, 1 << 53) if b.kind is kind]
    db.close()
    return bodies


def burn() -> int:
    return sum(range(2_000_000))


def test_a_block_is_a_run_with_energy_and_counts(data_dir: Path) -> None:
    with carbon.track("team/block", {"token": 10}) as tracker:
        burn()
        tracker.count("token", 5)
        tracker.count("page")
    assert tracker.measured is not None
    assert tracker.measured.by == "in_process"
    assert (tracker.energy_mj or 0) > 0
    (batch,) = spooled(data_dir, BodyKind.UNITS)
    counts = {unit["unit"]: unit for unit in batch["units"]}
    assert {name: unit["count"] for name, unit in counts.items()} == {"token": 15, "page": 1}
    assert counts["token"]["workload"] == "team/block"
    assert counts["token"]["start_ms"] == tracker.measured.start_ms
    assert counts["token"]["end_ms"] == tracker.measured.end_ms
    runs = {
        interval.get("run"): interval.get("workload")
        for body in spooled(data_dir, BodyKind.ENERGY)
        for interval in body["intervals"]
    }
    assert "team/block" in runs.values()


def test_each_call_of_a_function_is_a_run_of_its_own(data_dir: Path) -> None:
    @carbon.track("calls")
    def work() -> int:
        return burn()

    assert work() == work()
    runs = {
        interval["run"]
        for body in spooled(data_dir, BodyKind.ENERGY)
        for interval in body["intervals"]
        if "run" in interval
    }
    assert len(runs) == 2


def test_a_block_that_never_lets_go_of_the_interpreter_is_measured_from_its_start(
    data_dir: Path,
) -> None:
    """`sum` over a range runs in C: no other thread has a turn before its end."""
    for _ in range(5):
        with carbon.track("in-c") as tracker:
            entered_ms = time.time_ns() // 1_000_000
            burn()
        assert tracker.measured is not None
        assert tracker.measured.start_ms <= entered_ms
        assert tracker.energy_mj


def test_an_error_of_the_program_is_the_programs(data_dir: Path) -> None:
    with pytest.raises(ZeroDivisionError), carbon.track("fails") as tracker:
        _ = 1 // 0
    assert tracker.measured is not None


def test_what_cannot_be_measured_runs_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("CARBON_DATA_DIR", str(blocked))
    with carbon.track("w", {"token": 1}) as tracker:
        reached = burn()
    assert reached > 0
    assert tracker.energy_mj is None


def test_settings_that_are_wrong_do_not_stop_the_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CARBON_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CARBON_PORT", "not a number")
    with carbon.track("w") as tracker:
        burn()
    assert tracker.energy_mj is None
    buffer = UnitBuffer()
    buffer.add("w", "token", 1)
    buffer.deliver()


def test_the_environment_is_read_once_and_again_where_it_changed(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Settings] = []

    def counted() -> Settings:
        read.append(Settings())
        return read[-1]

    monkeypatch.setattr(options, "Settings", counted)
    monkeypatch.setenv("CARBON_AGENT_PERIOD_S", "7")  # no environment that was read before
    assert [options.local_options().period_s for _ in range(50)] == [7.0] * 50
    assert len(read) == 1
    monkeypatch.setenv("CARBON_DATA_DIR", str(tmp_path / "other"))
    assert options.local_options().data_dir == tmp_path / "other"
    monkeypatch.setenv("CARBON_AGENT_PERIOD_S", "20")
    assert options.local_options().period_s == 20.0
    assert len(read) == 3


def test_counts_are_gathered_before_they_are_handed_over(data_dir: Path) -> None:
    buffer = UnitBuffer()
    for _ in range(1000):
        buffer.add("w", "token", 2)
    buffer.add("w", "page", 1)
    buffer.deliver()
    buffer.deliver()
    (batch,) = spooled(data_dir, BodyKind.UNITS)
    assert {unit["unit"]: unit["count"] for unit in batch["units"]} == {"token": 2000, "page": 1}
    assert all(unit["start_ms"] < unit["end_ms"] for unit in batch["units"])


def test_counts_are_delivered_at_the_end_of_the_program(data_dir: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", "import carbon; carbon.units('w', 'token', 3)"],
        check=True,
        env={**os.environ, "CARBON_DATA_DIR": str(data_dir)},
    )
    (batch,) = spooled(data_dir, BodyKind.UNITS)
    assert [(unit["unit"], unit["count"]) for unit in batch["units"]] == [("token", 3)]


def test_a_forked_child_neither_keeps_the_lock_nor_repeats_the_parents_counts(
    data_dir: Path,
) -> None:
    program = """
import os, carbon, time
with carbon.track("parent"):
    carbon.units("w", "token", 1)
    child = os.fork()
    if child == 0:
        time.sleep(0.1)
        os._exit(0)
    os.waitpid(child, 0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)
    assert len(spooled(data_dir, BodyKind.UNITS)) == 1
    with carbon.track("after") as tracker:
        burn()
    assert tracker.measured is not None
    assert tracker.measured.by == "in_process"


def test_importing_carbon_loads_nothing_heavy() -> None:
    program = "import sys, carbon, carbon.client; print(*sorted(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    loaded = set(printed.stdout.split())
    heavy = {"httpx2", "msgspec", "pydantic", "sqlite3", "psutil", "pynvml", "asyncio", "numpy"}
    assert not heavy & loaded
