"""A partitioned GPU: weights by what its instances did, whatever way it is split while we look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from agent_double import ScriptedProcesses

from carbon.collect.attributor import Attributor
from carbon.collect.nvml import NvmlSource
from carbon.collect.nvml_mig import MigInstances
from carbon.collect.processes import ProcessTable
from carbon.collect.sampler import Sampler
from tests.scripted_nvml import (
    GPM_MIG_SAMPLE,
    Gpu,
    Nvml,
    Power,
    Process,
    Rule,
    Scenario,
    Script,
)

pytest_plugins = ["tests.scripted_nvml.plugin"]

Play = Callable[[Script], Scenario]

IDLE_MW = 100_000
#: A wholly busy GPU draws this much more.
FULL_MW = 420_000
SLICES = {1: 3, 2: 2, 5: 1}
#: (pid, SM % of its instance, instance, from s, to s)
TURNS = (
    (101, 80, 1, 5, 65),
    (102, 60, 2, 5, 35),
    (103, 30, 2, 40, 65),
    (104, 100, 5, 20, 65),
)
SECONDS = 65


def drawn_mw(second: int) -> dict[int, float]:
    """By process, beyond the idle power."""
    return {
        pid: FULL_MW * sm / 100 * SLICES[instance] / 7
        for pid, sm, instance, start_s, end_s in TURNS
        if start_s <= second < end_s
    }


def gpu(**changes: object) -> Gpu:
    pieces = [(1000, round(IDLE_MW + sum(drawn_mw(s).values()))) for s in range(SECONDS)]
    made = Gpu(
        uuid="GPU-1",
        power=Power.piecewise(pieces, IDLE_MW),
        mig=True,
        instances=tuple(SLICES.items()),
        update_ms=0,
        processes=tuple(
            Process(pid, sm, from_ms=a * 1000, to_ms=b * 1000, instance=instance)
            for pid, sm, instance, a, b in TURNS
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def true_mj() -> dict[int, float]:
    """Idle power is nobody's for the part of the GPU that rests."""
    whole: dict[int, float] = {}
    for second in range(SECONDS):
        for pid, mw in drawn_mw(second).items():
            whole[pid] = whole.get(pid, 0.0) + mw + IDLE_MW * mw / FULL_MW
    return whole


def attributed(scenario: Scenario, from_s: int = 0) -> Mapping[str, int]:
    processes = ScriptedProcesses()
    for pid, *_ in TURNS:
        processes.start(pid, environment={"CARBON_WORKLOAD": f"w{pid}"})
    sampler = Sampler([NvmlSource(scenario.clock)])
    sampler.refresh()
    sampler.look()
    attributor = Attributor(sampler, ProcessTable(processes))
    attributor.look()
    seen: dict[str, int] = {}
    for tick in range(SECONDS * 10):
        scenario.clock.advance(0.1)
        sampler.look()
        if tick % 10 == 9:
            attributor.look()
            for device, closed in sampler.close(scenario.clock.monotonic_ns()):
                shares = attributor.shares(device, closed, scenario.clock.now_ms(), None)
                assert sum(shares.values()) == closed.energy_mj
                for who, energy_mj in shares.items() if tick >= from_s * 10 else ():
                    name = who.workload or who.name
                    seen[name] = seen.get(name, 0) + energy_mj
    sampler.close_sources()
    return seen


def errors_percent(seen: Mapping[str, int]) -> list[float]:
    return [abs(100 * (seen.get(f"w{pid}", 0) / mj - 1)) for pid, mj in true_mj().items()]


def test_each_workload_is_within_a_tenth_of_its_true_energy(play: Play) -> None:
    assert max(errors_percent(attributed(play(Script((gpu(),)))))) <= 10


def test_without_performance_monitors_it_goes_by_memory_held(play: Play) -> None:
    """As on GPUs before Hopper: known to be worse, and everything is still somebody's."""
    seen = attributed(play(Script((gpu(gpm=False),))))
    assert sum(seen.values()) == int(gpu().true_energy_mj(0, SECONDS * 1000))
    assert max(errors_percent(seen)) > 10


def test_a_gpu_that_is_partitioned_while_we_look_is_weighed_anew(play: Play) -> None:
    """Before: by SM time. After: by instance. The device's energy stays whole."""
    switched = gpu(mig=False, mig_switches=((40_000, True),))
    seen = attributed(play(Script((switched,))))
    assert sum(seen.values()) == int(switched.true_energy_mj(0, SECONDS * 1000))
    late = attributed(play(Script((switched,))), from_s=45)
    drawn = drawn_mw(50)
    told = {pid: late[f"w{pid}"] / late["w101"] for pid in drawn}
    for pid, mw in drawn.items():
        assert told[pid] == pytest.approx(mw / drawn[101], rel=0.1)


def test_a_gpu_that_is_made_whole_again_goes_by_sm_time(play: Play) -> None:
    whole = gpu(mig_switches=((30_000, False),))
    scenario = play(Script((whole,)))
    source = NvmlSource(scenario.clock)
    source.devices()
    for second in range(1, 45):
        scenario.clock.advance(1.0)
        uses = {use.pid: use.activity for use in source.processes("GPU-1") or ()}
        if second == 28:
            assert uses[104] == pytest.approx(1 / 7, abs=0.01)
    assert uses[104] == pytest.approx(1.0, abs=0.01)


def test_instances_that_are_split_anew_under_their_numbers_are_read_anew(play: Play) -> None:
    first = play(Script((gpu(processes=(Process(101, 50, instance=1),)),)))
    source = NvmlSource(first.clock)
    source.devices()
    for _ in range(2):
        first.clock.advance(1.0)
        uses = source.processes("GPU-1") or ()
    assert [use.activity for use in uses] == [pytest.approx(0.5 * 3 / 7)]
    parts = source._parts["GPU-1"]
    assert parts._slices == SLICES
    scenario_changes(parts)
    source.devices()
    source.processes("GPU-1")
    assert parts._slices == SLICES


def scenario_changes(parts: MigInstances) -> None:
    """As if the instances had been of other sizes before."""
    parts._slices = dict.fromkeys(SLICES, 7)


def test_an_instance_that_the_driver_will_not_tell_of_leaves_all_to_memory(play: Play) -> None:
    """A part of the weights by another measure would be unfair to the rest."""
    refused = Rule(GPM_MIG_SAMPLE, code=Nvml.NO_PERMISSION, from_ms=10_000)
    scenario = play(Script((gpu(rules=(refused,)),)))
    source = NvmlSource(scenario.clock)
    source.devices()
    told = []
    for _ in range(15):
        scenario.clock.advance(1.0)
        told.append([use.activity for use in source.processes("GPU-1") or ()])
    assert all(activity is not None for activity in told[7])
    assert told[-1]
    assert all(activity is None for activity in told[-1])


def test_two_in_one_instance_share_it_by_memory_held(play: Play) -> None:
    inside = (
        Process(11, 70, memory_bytes=3 << 30, instance=1),
        Process(12, 0, memory_bytes=1 << 30, instance=1),
    )
    scenario = play(Script((gpu(processes=inside),)))
    source = NvmlSource(scenario.clock)
    source.devices()
    for _ in range(2):
        scenario.clock.advance(1.0)
        uses = {use.pid: use.activity for use in source.processes("GPU-1") or ()}
    whole = 0.7 * 3 / 7
    assert uses == {11: pytest.approx(whole * 3 / 4), 12: pytest.approx(whole / 4)}
