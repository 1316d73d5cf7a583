"""The driver's own ring of power readings: the step of the ladder below the counter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from carbon.collect.nvml import NvmlSource
from carbon.collect.odometer import Odometer
from carbon.collect.source import Device, DeviceKind, Sample
from carbon.domain.energy import Method
from tests.scripted_nvml import (
    ENERGY_FIELD,
    EVERY_CALL,
    POWER_SAMPLES,
    TOTAL_ENERGY,
    Gpu,
    Nvml,
    Power,
    Rule,
    Scenario,
    Script,
)

pytest_plugins = ["tests.scripted_nvml.plugin"]

Play = Callable[[Script], Scenario]

NO_COUNTER = tuple(Rule(call, code=Nvml.NOT_SUPPORTED) for call in (ENERGY_FIELD, TOTAL_ENERGY))
#: Twice as quick as our looks, so that these see now one half and now the other.
WAVE = Power.square(140_000, 600_000, period_ms=70, high_ms=35)
GPU = Gpu(uuid="GPU-1", power=WAVE, rules=NO_COUNTER, samples_ms=5)


def looked(scenario: Scenario, seconds: float, pause_s: float = 0.5) -> list[Sample]:
    source = NvmlSource(scenario.clock)
    source.devices()
    samples: list[Sample] = []
    for _ in range(round(seconds / pause_s)):
        scenario.clock.advance(pause_s)
        samples += source.sample()
    return samples


def error_percent(gpu: Gpu, samples: list[Sample]) -> float:
    odometer = Odometer(Device("GPU-1", DeviceKind.GPU, "scripted", 700_000))
    for sample in samples:
        odometer.observe(sample)
    closed = odometer.close(samples[-1].at_ns)
    assert closed is not None
    assert closed.method is Method.INTEGRATED
    span = (closed.start_ns / 1e6, closed.end_ns / 1e6)
    return abs(100 * (closed.energy_mj / float(gpu.true_energy_mj(*span)) - 1))


def test_without_a_counter_the_drivers_readings_are_integrated(play: Play) -> None:
    samples = looked(play(Script((GPU,))), 30.0)
    assert len(samples) > 25 / 0.005
    assert {sample.counter_mj for sample in samples} == {None}
    assert not any(sample.power_is_averaged for sample in samples)
    times = [sample.at_ns for sample in samples]
    assert times == sorted(set(times))
    assert error_percent(GPU, samples) < 1.0


def test_they_tell_more_than_looks_at_ten_hertz(play: Play) -> None:
    """The instant power alone, looked at in step with the wave, is wrong by much more."""
    wave = Power.square(140_000, 600_000, period_ms=100, high_ms=50)
    kept = replace(GPU, power=wave)
    bare = replace(kept, samples_ms=0)
    with_ring = error_percent(kept, looked(play(Script((kept,))), 20.0))
    without = error_percent(bare, looked(play(Script((bare,))), 20.0, pause_s=0.1))
    assert with_ring < 1.0
    assert without > 10.0


def test_a_counter_goes_before_them(play: Play) -> None:
    samples = looked(play(Script((replace(GPU, rules=()),))), 2.0)
    assert all(sample.counter_mj is not None for sample in samples)
    assert len(samples) == 4


def test_readings_from_before_the_start_are_not_counted(play: Play) -> None:
    """Whoever sampled before us has counted them."""
    scenario = play(Script((GPU,)))
    scenario.clock.advance(10.0)
    assert min(sample.at_ns for sample in looked(scenario, 1.0)) > 10_000_000_000


@pytest.mark.parametrize("set_by_s", [-30, 30])
def test_a_clock_that_is_set_dates_nothing_ahead(play: Play, set_by_s: int) -> None:
    scenario = play(Script((GPU,)))
    source = NvmlSource(scenario.clock)
    source.devices()
    scenario.clock.advance(1.0)
    source.sample()
    scenario.clock.step_wall_ms(set_by_s * 1000)
    for _ in range(4):
        scenario.clock.advance(0.5)
        now_ns = scenario.clock.monotonic_ns()
        assert all(sample.at_ns <= now_ns for sample in source.sample())


def test_where_they_stop_the_power_stands_in(play: Play) -> None:
    gone = Rule(POWER_SAMPLES, code=Nvml.NOT_SUPPORTED, from_ms=1_000)
    samples = looked(play(Script((replace(GPU, rules=(*NO_COUNTER, gone)),))), 4.0)
    late = [sample for sample in samples if sample.at_ns > 1_500_000_000]
    assert len(late) >= 4
    assert all(sample.power_mw is not None for sample in late)


def test_a_gpu_that_is_lost_leaves_the_other_alone(play: Play) -> None:
    lost = Rule(EVERY_CALL, code=Nvml.GPU_IS_LOST, from_ms=1_000)
    other = replace(GPU, uuid="GPU-2")
    samples = looked(play(Script((replace(GPU, rules=(*NO_COUNTER, lost)), other))), 3.0)
    assert max(s.at_ns for s in samples if s.device == "GPU-1") <= 1_000_000_000
    assert max(s.at_ns for s in samples if s.device == "GPU-2") == 3_000_000_000
