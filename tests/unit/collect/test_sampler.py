"""Which source reads which device, and what happens when one fails."""

from __future__ import annotations

from agent_double import ScriptedMeter, ScriptedSource

from carbon.clock import FakeClock
from carbon.collect.sampler import Sampler
from carbon.collect.source import DeviceKind


def test_a_kind_of_device_is_read_by_the_first_source_that_has_it() -> None:
    clock = FakeClock()
    sensor = ScriptedSource(clock, [ScriptedMeter("CPU-1", DeviceKind.CPU)], "rapl")
    model = ScriptedSource(
        clock,
        [ScriptedMeter("CPU-1", DeviceKind.CPU, 1), ScriptedMeter("DRAM-1", DeviceKind.DRAM)],
        "modelled",
    )
    sampler = Sampler([sensor, model])
    sampler.refresh()
    sampler.look()
    clock.advance(1)
    sampler.look()
    energies = {d.uuid: closed.energy_mj for d, closed in sampler.close(clock.monotonic_ns())}
    assert energies == {"CPU-1": 100_000, "DRAM-1": 100_000}
    assert not sampler.sees_unlisted


def test_a_device_that_came_later_asks_for_a_refresh() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, [])
    sampler = Sampler([source])
    sampler.refresh()
    source.meters.append(ScriptedMeter())
    sampler.look()
    assert sampler.sees_unlisted
    sampler.refresh()
    assert list(sampler.devices) == ["GPU-1"]
    sampler.look()
    assert not sampler.sees_unlisted


def test_a_family_that_is_gone_leaves_the_others_and_comes_back() -> None:
    clock = FakeClock()
    gpus = ScriptedSource(clock, [ScriptedMeter("GPU-1")], "nvml")
    cpus = ScriptedSource(clock, [ScriptedMeter("CPU-1", DeviceKind.CPU)], "rapl")
    sampler = Sampler([gpus, cpus])
    sampler.refresh()
    sampler.look()
    gpus.is_gone = True
    for _ in range(5):
        clock.advance(1)
        sampler.look()
    assert [d.uuid for d, _ in sampler.close(clock.monotonic_ns())] == ["CPU-1"]
    gpus.is_gone = False
    sampler.look()
    closed = {d.uuid: c.energy_mj for d, c in sampler.close(clock.monotonic_ns())}
    assert closed["GPU-1"] == 500_000


def test_faults_are_kept_for_those_who_ask() -> None:
    clock = FakeClock()
    source = ScriptedSource(clock, [ScriptedMeter()])
    sampler = Sampler([source])
    sampler.refresh()
    sampler.look()
    clock.advance(1)
    source.meters[0].counter_uj = -1_000_000_000
    sampler.look()
    assert [fault.device for fault in sampler.faults] == ["GPU-1"]
