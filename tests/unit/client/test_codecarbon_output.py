"""CodeCarbon's figures by way of the spool."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from carbon.client import CodeCarbonOutput
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb

JOULE = 1 / 3_600_000


def totals(duration: float, joules: float, pue: float = 1.0) -> Any:
    return SimpleNamespace(
        duration=duration,
        project_name="p",
        cpu_energy=joules * JOULE * pue,
        gpu_energy=0.0,
        ram_energy=0.0,
        cpu_model="EPYC",
        gpu_model="",
        pue=pue,
    )


@pytest.fixture
def output(tmp_path: Path) -> Iterator[CodeCarbonOutput]:
    made = CodeCarbonOutput(
        "team/w", data_dir=tmp_path, url="http://127.0.0.1:9", key="k", delivery_s=0.2
    )
    yield made
    made.exit()


def spooled(folder: Path) -> list[dict[str, Any]]:
    db = SpoolDb(folder / "codecarbon" / "spool.db")
    batches = Spool(db).pending(100, 1 << 52)
    db.close()
    return [interval for b in batches for interval in msgspec.json.decode(b.body)["intervals"]]


def test_each_figure_is_on_the_disk_while_no_server_answers(
    output: CodeCarbonOutput, tmp_path: Path
) -> None:
    """What is told is cumulative, and nothing is told twice."""
    for n in range(1, 4):
        time.sleep(0.01)
        output.live_out(totals(10.0 * n, 100.0 * n), None)
    time.sleep(0.01)
    output.out(totals(40.0, 450.0), None)
    output.out(totals(40.0, 450.0), None)
    intervals = spooled(tmp_path)
    assert [i["energy_mj"] for i in intervals] == [100_000, 100_000, 100_000, 150_000]
    assert {(i["workload"], i["method"]) for i in intervals} == {("team/w", "imported")}
    assert all(a["end_ms"] == b["start_ms"] for a, b in pairwise(intervals))
    assert intervals[0]["end_ms"] - intervals[0]["start_ms"] == 10_000


def test_a_run_has_the_trackers_own_id(output: CodeCarbonOutput, tmp_path: Path) -> None:
    """Under it the ledger knows it again in CodeCarbon's file."""
    told = totals(10.0, 100.0)
    told.run_id = "11111111-2222-3333-4444-555555555555"
    output.live_out(told, None)
    assert [i["run"] for i in spooled(tmp_path)] == [told.run_id]


def test_a_stop_does_not_wait_for_a_server_that_is_away(output: CodeCarbonOutput) -> None:
    began = time.monotonic()
    output.out(totals(10.0, 100.0), None)
    assert time.monotonic() - began < 2.0


def test_the_tracker_s_pue_is_taken_out(output: CodeCarbonOutput, tmp_path: Path) -> None:
    output.live_out(totals(10.0, 100.0, pue=1.5), None)
    assert [i["energy_mj"] for i in spooled(tmp_path)] == [100_000]


def test_what_cannot_be_kept_does_not_hurt_the_tracker(output: CodeCarbonOutput) -> None:
    output.live_out(SimpleNamespace(), None)
    output.out(None, None)
    output.task_out([], "e")
