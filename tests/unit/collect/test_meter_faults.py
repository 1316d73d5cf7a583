"""Every fault that meters are known for, over the whole way from looks to batches: the device
that has it loses no more than it must, and the others lose nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from agent_double import ScriptedHost, ScriptedMeter
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.collect.source import ProcessUse
from carbon.collect.suspend import SuspendWatch
from carbon.wire.energy import EnergyInterval

SICK, WELL = "GPU-sick", "GPU-well"


def host_in(folder: Path) -> ScriptedHost:
    meters = [ScriptedMeter(SICK, power_mw=300_000), ScriptedMeter(WELL, power_mw=200_000)]
    return ScriptedHost(folder / "spool.db", meters)


@pytest.fixture
def host(tmp_path: Path) -> ScriptedHost:
    return host_in(tmp_path)


def lose(host: ScriptedHost) -> None:
    host.meters[0].is_lost = True


def find(host: ScriptedHost) -> None:
    host.meters[0].is_lost = False


def reset(host: ScriptedHost) -> None:
    host.meters[0].counter_uj = 0


def stick(host: ScriptedHost) -> None:
    host.meters[0].stuck_at_uj = host.meters[0].counter_uj


def loosen(host: ScriptedHost) -> None:
    host.meters[0].stuck_at_uj = None


def jump(host: ScriptedHost) -> None:
    host.meters[0].counter_uj += 10**12


def no_counter(host: ScriptedHost) -> None:
    host.meters[0].has_counter = not host.meters[0].has_counter


def mig(host: ScriptedHost) -> None:
    """Under MIG the driver tells who holds memory, and no longer whose kernels run."""
    known = host.meters[0].uses is not None and host.meters[0].uses[0].activity is not None
    activity = None if known else 0.8
    host.meters[0].uses = [ProcessUse(50, activity, 3 << 30), ProcessUse(51, activity, 1 << 30)]


def sleep_(host: ScriptedHost) -> None:
    host.suspend(3600)


def clock_forward(host: ScriptedHost) -> None:
    host.clock.step_wall_ms(90_000)


def clock_back(host: ScriptedHost) -> None:
    host.clock.step_wall_ms(-2_500)


FAULTS = (
    lose,
    find,
    reset,
    stick,
    loosen,
    jump,
    no_counter,
    mig,
    sleep_,
    clock_forward,
    clock_back,
)


def assert_disjoint(intervals: list[EnergyInterval]) -> None:
    spans = sorted({(i.start_ms, i.end_ms) for i in intervals})
    assert all(start < end for start, end in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(1, 70)), max_size=12))
def test_whatever_befalls_one_gpu_the_other_is_counted_to_the_millijoule(
    faults: list[tuple[object, int]],
) -> None:
    with TemporaryDirectory() as folder:
        host = host_in(Path(folder))
        recorder = host.start()
        for fault, looks in faults:
            assert callable(fault)
            fault(host)
            host.run(looks / 10)
        recorder.close_period()
        assert host.energy_mj(device=WELL) == host.meters[1].counter_uj // 1000
        looked_s = sum(looks for _, looks in faults) / 10
        # At most what it drew; a stuck counter and the power in its place differ by a step or two.
        assert host.energy_mj(device=SICK) <= 300_000 * looked_s + 60_000 * len(faults)
        for uuid in (SICK, WELL):
            assert_disjoint(host.intervals(uuid))
        host.spool.db.close()


def test_a_lost_gpu_comes_back_with_what_its_counter_rose_by(host: ScriptedHost) -> None:
    recorder = host.start()
    host.run(10)
    lose(host)
    host.run(10)
    find(host)
    host.run(10)
    recorder.close_period()
    assert host.energy_mj(device=SICK) == host.meters[0].counter_uj // 1000
    assert host.energy_mj(device=SICK, method="bridged") > 0


def test_mig_switched_at_run_time_changes_the_weights_and_not_the_sum(host: ScriptedHost) -> None:
    recorder = host.start()
    for pid, run in ((50, "a"), (51, "b")):
        host.processes.start(pid)
        recorder.start_run(run, None, pid=pid)
    mig(host)
    host.run(10)
    even = [host.energy_mj(device=SICK, run=run) for run in ("a", "b")]
    mig(host)
    host.run(10)
    both = [host.energy_mj(device=SICK, run=run) for run in ("a", "b")]
    by_memory = [after - before for before, after in zip(even, both, strict=True)]
    assert even[0] == pytest.approx(even[1], rel=0.01)
    assert by_memory[0] == pytest.approx(3 * by_memory[1], rel=0.05)
    recorder.close_period()
    assert host.energy_mj(device=SICK) == host.meters[0].counter_uj // 1000


def test_a_suspend_ends_the_period_and_is_no_energy(host: ScriptedHost) -> None:
    recorder = host.start()
    host.run(5)
    host.suspend(3600)
    host.run(5)
    recorder.close_period()
    before, after = sorted({(i.start_ms, i.end_ms) for i in host.intervals(WELL)})[:2]
    assert after[0] - before[1] == pytest.approx(3_600_000, abs=200)
    assert host.energy_mj(device=WELL) == host.meters[1].counter_uj // 1000
    assert [fault.kind for fault in host.sampler.faults] == ["suspend"]


def test_a_sleep_is_told_once() -> None:
    asleep = [0]
    watch = SuspendWatch(lambda: asleep[0])
    assert watch.slept_ns() == 0
    asleep[0] = 5_000_000_000
    assert watch.slept_ns() == 5_000_000_000
    assert watch.slept_ns() == 0


def test_clocks_read_one_after_the_other_are_no_sleep() -> None:
    asleep = [0]
    watch = SuspendWatch(lambda: asleep[0])
    asleep[0] = 1_000_000
    assert watch.slept_ns() == 0


def test_this_machine_is_awake() -> None:
    assert SuspendWatch().slept_ns() == 0
