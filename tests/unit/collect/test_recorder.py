"""From looks to batches: conserved, aligned, in order, and at most a second lost by a kill."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from agent_double import ScriptedHost, ScriptedMeter
from agent_double.host import START_MS
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.collect.source import DeviceKind, ProcessUse
from carbon.wire.energy import EnergyInterval

CPU = "CPU-1"


@pytest.fixture
def host(tmp_path: Path) -> ScriptedHost:
    return ScriptedHost(tmp_path / "spool.db")


@pytest.fixture
def cpu_host(tmp_path: Path) -> ScriptedHost:
    """100 W without load, known from a first quiet second; then whatever a test says."""
    meter = ScriptedMeter(CPU, DeviceKind.CPU, power_mw=100_000, limit_mw=None)
    return ScriptedHost(tmp_path / "spool.db", [meter])


def assert_in_order(intervals: list[EnergyInterval], device: str = "GPU-1") -> None:
    spans = sorted({(i.start_ms, i.end_ms) for i in intervals if i.device == device})
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    keys = [(i.device, i.start_ms, i.end_ms, i.run or i.subject) for i in intervals]
    assert len(keys) == len(set(keys))


def test_a_batch_per_period_aligned_to_the_wall_clock(host: ScriptedHost) -> None:
    host.clock.advance(3.3)
    host.start()
    host.run(30)
    spans = [(b.intervals[0].start_ms, b.intervals[0].end_ms) for b in host.batches()]
    assert spans == [
        (START_MS + 3_300, START_MS + 10_000),
        (START_MS + 10_000, START_MS + 20_000),
        (START_MS + 20_000, START_MS + 30_000),
    ]
    batch = next(host.batches())
    assert (batch.source, batch.boot_id, batch.host, batch.zone) == (
        "agent-test",
        "boot-1",
        "host-1",
        "DE",
    )
    assert [(d.device, d.kind) for d in batch.devices] == [("GPU-1", "gpu")]


def test_the_sum_is_the_counters_rise_exactly(host: ScriptedHost) -> None:
    host.start()
    before_mj = host.sampler.counters["GPU-1"]
    host.run(40)
    assert host.energy_mj() == host.sampler.counters["GPU-1"] - before_mj == 4_000_000


def test_a_run_gets_what_was_drawn_between_its_start_and_end(host: ScriptedHost) -> None:
    meter = host.meters[0]
    recorder = host.start()
    host.processes.start(50)
    host.run(4)
    recorder.start_run("r1", "team/w", pid=50)
    meter.uses = [ProcessUse(50, 1.0, 1 << 30)]
    host.run(7.3)
    ended = recorder.end_run("r1")
    meter.uses = []
    host.run(9)
    assert ended is not None
    assert ended.at_ms - ended.start_ms == 7_300
    assert sum(i.energy_mj for i in ended.intervals) == 730_000
    assert host.energy_mj(run="r1") == 730_000
    assert {i.workload for i in ended.intervals} == {"team/w"}
    assert [(m.device, m.kind, m.method) for m in ended.sources] == [("GPU-1", "gpu", "counter")]
    assert_in_order(host.intervals())


def test_a_run_of_a_day_answers_with_an_interval_for_each_five_minutes(
    host: ScriptedHost,
) -> None:
    host.period_ms = 60_000
    recorder = host.start()
    host.processes.start(50)
    recorder.start_run("r1", None, pid=50)
    host.meters[0].uses = [ProcessUse(50, 1.0)]
    host.run(900, look_s=1.0)
    ended = recorder.end_run("r1")
    assert ended is not None
    assert [i.end_ms - i.start_ms for i in ended.intervals] == [300_000] * 3
    assert sum(i.energy_mj for i in ended.intervals) == host.energy_mj(run="r1")


def test_two_runs_at_once_share_by_use(host: ScriptedHost) -> None:
    recorder = host.start()
    for pid, run in ((50, "a"), (60, "b")):
        host.processes.start(pid)
        recorder.start_run(run, None, pid=pid)
    host.meters[0].uses = [ProcessUse(50, 0.75), ProcessUse(60, 0.25)]
    host.run(10)
    energies = {}
    for run in ("a", "b"):
        ended = recorder.end_run(run)
        assert ended is not None
        energies[run] = sum(i.energy_mj for i in ended.intervals)
    assert energies == {"a": 750_000, "b": 250_000}
    assert_in_order(host.intervals())


def test_starting_a_run_twice_changes_nothing_and_an_unknown_run_has_no_end(
    host: ScriptedHost,
) -> None:
    recorder = host.start()
    first = recorder.start_run("r1", None)
    host.run(2)
    assert recorder.start_run("r1", None) == first
    assert recorder.end_run("r2") is None


def test_cpu_energy_above_idle_goes_to_who_worked(cpu_host: ScriptedHost) -> None:
    recorder = cpu_host.start()
    cpu_host.processes.start(50)
    cpu_host.run(2)  # quiet: 100 W is the idle power
    recorder.start_run("r1", "w", pid=50)
    cpu_host.meters[0].power_mw = 300_000
    for _ in range(20):
        cpu_host.processes.work(50, 1.0)
        cpu_host.run(0.5)
    recorder.end_run("r1")
    assert cpu_host.energy_mj(run="r1") == pytest.approx(2_000_000, rel=0.02)
    assert cpu_host.energy_mj(subject="idle") == pytest.approx(1_200_000, rel=0.02)


def test_a_short_command_is_seen_by_what_its_parent_inherits(cpu_host: ScriptedHost) -> None:
    """It came and went between two looks at the process table."""
    recorder = cpu_host.start()
    cpu_host.processes.start(50)
    cpu_host.run(2)
    recorder.start_run("r1", None, pid=50)
    cpu_host.meters[0].power_mw = 300_000
    cpu_host.processes.start(51, parent=50)
    cpu_host.processes.work(51, 0.4)
    cpu_host.processes.end(51)
    cpu_host.run(0.2)
    ended = recorder.end_run("r1")
    assert ended is not None
    assert sum(i.energy_mj for i in ended.intervals) > 30_000


def test_a_reserving_run_holds_the_idle_devices_and_says_so(host: ScriptedHost) -> None:
    recorder = host.start()
    host.meters[0].uses = []
    started = recorder.start_run("r1", "w", reserve=True)
    assert started.reserved
    assert not recorder.start_run("r2", "w", reserve=True).reserved
    host.run(10)
    ended = recorder.end_run("r1")
    assert ended is not None
    assert sum(i.energy_mj for i in ended.intervals) == 1_000_000
    reservations = [r for b in host.batches() for r in b.reservations]
    assert [(r.device, r.run, r.share_ppm) for r in reservations] == [("GPU-1", "r1", 1_000_000)]
    assert (reservations[0].start_ms, reservations[0].end_ms) == (ended.start_ms, ended.at_ms)


def test_a_run_whose_process_is_gone_is_ended(host: ScriptedHost) -> None:
    recorder = host.start()
    host.processes.start(50)
    recorder.start_run("r1", None, pid=50)
    host.run(2)
    host.processes.end(50)
    host.run(2)
    assert not recorder.runs.active


def test_a_run_outlives_its_process_as_long_as_it_has_any(host: ScriptedHost) -> None:
    recorder = host.start()
    host.processes.start(50)
    recorder.start_run("r1", None, pid=50)
    host.processes.start(51, environment={"CARBON_RUN": "r1"})
    host.processes.end(50)
    host.run(2)
    assert [run.run for run in recorder.runs.active] == ["r1"]


# Kills


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.2, 25),  # seconds of work
            st.floats(0, 3),  # seconds that its last look is late, as on a busy machine
            st.floats(0, 100),  # seconds away
            st.integers(1, 700_000),  # mW meanwhile
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([0.0, 0.3]),
)
def test_kills_lose_nothing_of_a_counter_and_double_nothing(
    lives: list[tuple[float, float, float, int]], loading_s: float
) -> None:
    with TemporaryDirectory() as folder:
        host = ScriptedHost(Path(folder) / "spool.db")
        host.start()
        first_mj = host.sampler.counters["GPU-1"]
        for work_s, late_s, away_s, power_mw in lives:
            host.meters[0].power_mw = power_mw
            host.run(round(work_s, 1))
            host.run(late_s, look_s=late_s or 1)
            host.kill()
            host.pause(round(away_s, 1))
            host.start(loading_s=loading_s)
        host.run(10)
        host.recorder.close_period()
        assert host.energy_mj() == host.sampler.counters["GPU-1"] - first_mj
        assert_in_order(host.intervals())


def test_what_was_attributed_before_a_kill_keeps_its_name(host: ScriptedHost) -> None:
    recorder = host.start()
    host.processes.start(50)
    recorder.start_run("r1", "w", pid=50)
    host.meters[0].uses = [ProcessUse(50, 1.0)]
    host.run(5.5)
    host.kill()
    host.pause(4)
    recorder = host.start()
    host.run(2)
    ended = recorder.end_run("r1")
    assert ended is not None
    assert host.energy_mj(run="r1") == sum(i.energy_mj for i in ended.intervals) == 750_000
    bridged = [i for i in host.intervals() if i.method == "bridged"]
    assert [(i.subject, i.energy_mj) for i in bridged] == [("unattributed", 400_000)]
    assert bridged[0].end_ms - bridged[0].start_ms == 4_000


def test_a_gap_belongs_to_the_run_that_reserved_the_devices(host: ScriptedHost) -> None:
    recorder = host.start()
    host.processes.start(50)
    recorder.start_run("r1", "w", pid=50, reserve=True)
    host.run(5)
    host.kill()
    host.pause(4)
    host.start()
    host.recorder.close_period()
    assert [i.run for i in host.intervals() if i.method == "bridged"] == ["r1"]


def test_a_pause_after_an_orderly_end_is_bridged_too(host: ScriptedHost) -> None:
    host.start()
    host.run(3)
    host.recorder.close_period()
    host.kill()
    host.pause(60)
    host.start()
    host.recorder.close_period()
    assert host.energy_mj(method="bridged") == 6_000_000


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"boot_id": "boot-2"}, "another boot"),
        ({"counter_uj": -10_000_000_000}, "the counter began anew"),
        ({"counter_uj": 90_000_000_000}, "no device draws that much"),
    ],
)
def test_nothing_is_bridged_where_the_counters_cannot_tell(
    host: ScriptedHost, change: dict[str, Any], why: str
) -> None:
    host.start()
    host.run(5)
    host.kill()
    host.pause(4)
    host.boot_id = change.get("boot_id", host.boot_id)
    host.meters[0].counter_uj += change.get("counter_uj", 0)
    host.start()
    host.run(12)
    assert host.energy_mj(method="bridged") == 0, why
    assert host.energy_mj(method="counter") > 0
    # What the journal held is of the boot that it was measured in.
    assert next(host.batches()).boot_id == "boot-1"


def test_a_device_without_counter_loses_the_gap_and_a_second_at_most(tmp_path: Path) -> None:
    meter = ScriptedMeter(CPU, DeviceKind.CPU, 50_000, has_counter=False, is_modelled=True)
    host = ScriptedHost(tmp_path / "spool.db", [meter])
    host.start()
    host.run(7.9)
    host.kill()
    host.pause(5)
    host.start()
    host.run(1.1)
    host.recorder.close_period()
    assert 50_000 * 8 <= host.energy_mj(method="modelled") <= 50_000 * 9
    assert_in_order(host.intervals(), CPU)


def test_an_outage_of_looks_is_bridged_without_a_restart(host: ScriptedHost) -> None:
    host.start()
    host.run(5)
    host.pause(8)  # the process was stopped
    host.run(7)
    assert host.energy_mj() == 2_000_000
    assert 700_000 <= host.energy_mj(method="bridged") <= 900_000
    assert_in_order(host.intervals())


# Clocks, disks, devices


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.5, 25), st.integers(-120_000, 120_000)), min_size=1, max_size=5)
)
def test_setting_the_clock_costs_no_energy_and_makes_no_overlap(
    steps: list[tuple[float, int]],
) -> None:
    with TemporaryDirectory() as folder:
        host = ScriptedHost(Path(folder) / "spool.db")
        host.start()
        first_mj = host.sampler.counters["GPU-1"]
        for seconds, set_by_ms in steps:
            host.run(round(seconds, 1))
            host.clock.step_wall_ms(set_by_ms)
        host.run(12)
        host.recorder.close_period()
        assert host.energy_mj() == host.sampler.counters["GPU-1"] - first_mj
        assert_in_order(host.intervals())


def test_a_full_disk_costs_nothing_once_there_is_room(
    host: ScriptedHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.start()
    host.run(5)

    def full(*_: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(host.spool, "append_energy", full)
        host.run(10)
    host.run(10)
    assert host.energy_mj() == 2_000_000
    assert_in_order(host.intervals())


def test_a_lost_gpu_leaves_the_others_alone(tmp_path: Path) -> None:
    meters = [ScriptedMeter("GPU-1"), ScriptedMeter("GPU-2", power_mw=50_000)]
    host = ScriptedHost(tmp_path / "spool.db", meters)
    host.start()
    host.run(10)
    meters[0].is_lost = True
    host.run(20)
    assert host.energy_mj(device="GPU-2") == 1_500_000
    assert 1_000_000 <= host.energy_mj(device="GPU-1") <= 1_200_000


def test_a_method_that_changes_begins_another_interval(host: ScriptedHost) -> None:
    host.start()
    host.run(5)
    host.meters[0].has_counter = False
    host.run(5)
    methods = [i.method for i in host.intervals()]
    assert methods == ["counter", "integrated"]
    assert host.energy_mj() == pytest.approx(1_000_000, rel=0.01)


def test_a_kill_before_the_first_second_leaves_no_moment_without_a_row(host: ScriptedHost) -> None:
    """What is loaded after the first look takes its time, and the journal is written after it."""
    host.start()
    host.run(3)
    host.kill()
    host.pause(2)
    host.start(loading_s=0.25)
    host.kill()
    host.pause(2)
    host.start(loading_s=0.25)
    host.run(3)
    host.recorder.close_period()
    spans = sorted({(i.start_ms, i.end_ms) for i in host.intervals()})
    for (_, end_ms), (start_ms, _) in pairwise(spans):
        assert start_ms == end_ms
