"""The real NVIDIA binding against a scripted driver: what is read, refused and lost."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.nvml import NvmlSource
from carbon.collect.nvml_calls import UtilSample
from carbon.collect.nvml_processes import activity_by_pid
from carbon.collect.odometer import Odometer
from carbon.collect.source import DeviceKind, ProcessUse, Sample
from carbon.domain.energy import Method
from carbon.errors import Unavailable
from tests.scripted_nvml import (
    AVERAGE_FIELD,
    BLANK_64,
    ENERGY_FIELD,
    EVERY_CALL,
    FIELD_VALUES,
    INSTANT_FIELD,
    POWER_USAGE,
    PROCESS_UTILIZATION,
    RUNNING_PROCESSES,
    TOTAL_ENERGY,
    Gpu,
    Nvml,
    Power,
    Process,
    Rule,
    Scenario,
    Script,
    write_pids,
)

pytest_plugins = ["tests.scripted_nvml.plugin"]

Play = Callable[[Script], Scenario]

ONE = Gpu(uuid="GPU-1", power=Power.constant(300_000), counter_start_mj=5000)
TWO = Gpu(uuid="GPU-2", power=Power.constant(100_000))


def refused(call: str, code: Nvml = Nvml.NOT_SUPPORTED, from_ms: int = 0) -> Rule:
    return Rule(call, code=code, from_ms=from_ms)


def source_of(scenario: Scenario) -> NvmlSource:
    return NvmlSource(scenario.clock)


def look(play: Play, gpu: Gpu, at_s: float = 2.0) -> Sample | None:
    """The one look at a lone GPU."""
    scenario = play(Script((gpu,)))
    scenario.clock.advance(at_s)
    samples = source_of(scenario).sample()
    return samples[0] if samples else None


# The scripted driver itself


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 700_000)), max_size=5),
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 700_000)), min_size=1, max_size=5),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
)
def test_true_energy_is_additive_over_time(
    once: list[tuple[int, int]], cycle: list[tuple[int, int]], a: int, b: int, c: int
) -> None:
    gpu = Gpu(power=Power(tuple(once), tuple(cycle)))
    start, middle, end = sorted((a, b, c))
    parts = gpu.true_energy_mj(start, middle) + gpu.true_energy_mj(middle, end)
    assert parts == gpu.true_energy_mj(start, end)


def test_true_energy_of_a_square_wave_is_what_one_would_write_down() -> None:
    script = Script((Gpu(power=Power.square(100_000, 500_000, period_ms=100, high_ms=25)),))
    assert script.true_energy_mj(0, 0, 1000) == 200_000
    assert script.true_energy_mj(0, 0, 25) == 12_500
    assert script.true_energy_mj(0, 20, 30) == Fraction(3000)


@pytest.mark.parametrize("update_ms", [0, 20, 100])
def test_the_library_counts_what_the_script_says(play: Play, update_ms: int) -> None:
    pieces = [(333, 610_000), (217, 140_000), (50, 0), (401, 77_777)]
    gpu = Gpu(
        power=Power(once=((450, 90_000),), cycle=tuple(pieces)),
        counter_start_mj=123,
        update_ms=update_ms,
        resets_ms=(2500,),
    )
    scenario = play(Script((gpu,)))
    source = source_of(scenario)
    for at_ms in range(37, 4000, 37):
        scenario.clock.advance(0.037)
        (sample,) = source.sample()
        assert sample.counter_mj == gpu.counter_mj(at_ms)


def test_another_process_finds_the_library_by_its_search_path(play: Play) -> None:
    scenario = play(Script((ONE, TWO)))
    program = (
        "import json; from carbon.collect.nvml import NvmlSource;"
        "print(json.dumps([d.uuid for d in NvmlSource().devices()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=scenario.env, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == ["GPU-1", "GPU-2"]


def test_without_a_clock_by_hand_the_script_plays_in_real_time(
    nvml_library: Path, tmp_path: Path
) -> None:
    script = Script((replace(ONE, update_ms=0),), epoch_ms=1_700_000_000_000)
    program = (
        "import time, pynvml as n; n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0);"
        "print(time.time_ns(), n.nvmlDeviceGetTotalEnergyConsumption(h), time.time_ns())"
    )
    env = {
        **os.environ,
        "LD_LIBRARY_PATH": str(nvml_library),
        "CARBON_NVML_SCRIPT": str(script.write(tmp_path / "script.txt")),
    }
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, check=True)
    before_ns, counter_mj, after_ns = map(int, done.stdout.split())
    before, after = (
        script.true_energy_mj(0, 0, Fraction(ns, 10**6) - 1_700_000_000_000) + 5000
        for ns in (before_ns, after_ns)
    )
    assert before - 1 <= counter_mj <= after


# Devices


def test_gpus_are_known_by_uuid_with_model_and_limit(play: Play) -> None:
    scenario = play(Script((replace(ONE, name="NVIDIA H200", limit_mw=650_000), TWO)))
    first, second = source_of(scenario).devices()
    assert (first.uuid, first.kind, first.model) == ("GPU-1", DeviceKind.GPU, "NVIDIA H200")
    assert first.power_limit_mw == 650_000
    assert second.uuid == "GPU-2"


def test_a_gpu_that_is_only_behind_a_module_sensor_is_a_module(play: Play) -> None:
    gpu = replace(
        ONE, scope=1, rules=(refused(ENERGY_FIELD), refused(TOTAL_ENERGY), refused(POWER_USAGE))
    )
    scenario = play(Script((gpu,)))
    source = source_of(scenario)
    (device,) = source.devices()
    assert device.kind is DeviceKind.MODULE
    assert device.power_limit_mw is None
    assert source.sample()[0].power_mw == 300_000


def test_a_module_sensor_is_not_mixed_with_the_gpus_own_counter(play: Play) -> None:
    gpu = replace(ONE, scope=1, rules=(refused(POWER_USAGE),))
    scenario = play(Script((gpu,)))
    source = source_of(scenario)
    assert source.devices()[0].kind is DeviceKind.GPU
    assert source.sample()[0].power_mw is None


# Looks


def test_a_look_reads_counter_and_instant_power(play: Play) -> None:
    gpu = replace(ONE, power=Power.square(100_000, 500_000, period_ms=1000, high_ms=500))
    assert look(play, gpu, 2.3) == Sample(
        "GPU-1", 2_300_000_000, 5000 + 750_000 - 20_000 - 10_000 + 30_000, 500_000
    )


@pytest.mark.parametrize(
    ("rules", "counter_mj", "power_mw", "averaged"),
    [
        ((), 605_000, 500_000, False),
        ((refused(ENERGY_FIELD),), 605_000, 500_000, False),
        ((refused(ENERGY_FIELD), refused(TOTAL_ENERGY)), None, 500_000, False),
        ((refused(INSTANT_FIELD),), 605_000, 300_000, True),
        ((refused(INSTANT_FIELD), refused(AVERAGE_FIELD)), 605_000, 300_000, True),
        ((refused(FIELD_VALUES),), 605_000, 300_000, True),
        ((refused(FIELD_VALUES), refused(TOTAL_ENERGY)), None, 300_000, True),
        ((refused(FIELD_VALUES), refused(POWER_USAGE)), 605_000, None, False),
    ],
)
def test_each_field_has_a_fallback(
    play: Play, rules: Sequence[Rule], counter_mj: int | None, power_mw: int | None, averaged: bool
) -> None:
    wave = Power.square(100_000, 500_000, period_ms=1000, high_ms=500)
    sample = look(play, replace(ONE, power=wave, rules=tuple(rules)))
    assert sample is not None
    assert (sample.counter_mj, sample.power_mw, sample.power_is_averaged) == (
        counter_mj,
        power_mw,
        averaged,
    )


@pytest.mark.parametrize(
    ("name", "architecture", "averaged"),
    [
        ("Tesla V100", 5, False),
        ("NVIDIA A100-SXM4-80GB", 7, False),
        ("NVIDIA A40", 7, True),
        ("NVIDIA H100", 9, True),
    ],
)
def test_plain_power_is_an_average_on_newer_gpus(
    play: Play, name: str, architecture: int, averaged: bool
) -> None:
    gpu = replace(ONE, name=name, architecture=architecture, usage_averages=averaged)
    sample = look(play, replace(gpu, rules=(refused(FIELD_VALUES),)))
    assert sample is not None
    assert sample.power_is_averaged is averaged


@pytest.mark.parametrize("blank", [BLANK_64, 2**63 - 16, 2**64 - 1])
def test_blank_energies_are_no_readings(play: Play, blank: int) -> None:
    rules = (Rule(ENERGY_FIELD, value=blank), Rule(TOTAL_ENERGY, value=blank))
    sample = look(play, replace(ONE, rules=rules))
    assert sample is not None
    assert sample.counter_mj is None
    assert sample.power_mw == 300_000


@pytest.mark.parametrize("blank", [0x7FFFFFF2, 0xFFFFFFFF, 0])
def test_blank_powers_are_no_readings(play: Play, blank: int) -> None:
    rules = tuple(Rule(call, value=blank) for call in (INSTANT_FIELD, AVERAGE_FIELD, POWER_USAGE))
    sample = look(play, replace(ONE, rules=rules))
    assert sample is not None
    assert sample.power_mw is None
    assert sample.counter_mj == 605_000


def test_a_gpu_that_tells_nothing_is_left_out(play: Play) -> None:
    assert (
        look(
            play,
            replace(
                ONE, rules=(refused(FIELD_VALUES), refused(TOTAL_ENERGY), refused(POWER_USAGE))
            ),
        )
        is None
    )


def test_glances_are_told_of_at_the_next_look_with_their_own_times(play: Play) -> None:
    bare = replace(TWO, rules=(refused(FIELD_VALUES),))
    scenario = play(Script((replace(ONE, update_ms=0), bare)))
    source = source_of(scenario)
    source.devices()
    for _ in range(40):  # more than are kept undecoded
        scenario.clock.advance(0.1)
        source.glance()
    scenario.clock.advance(0.1)
    samples = source.sample()
    for gpu, start_mj, power_mw in ((ONE, 5_000, 300_000), (TWO, 0, 100_000)):
        own = [sample for sample in samples if sample.device == gpu.uuid]
        assert [sample.at_ns for sample in own] == [n * 100_000_000 for n in range(1, 42)]
        assert [sample.counter_mj for sample in own] == [
            start_mj + power_mw * n // 10 for n in range(1, 42)
        ]
    assert [sample.at_ns for sample in source.sample()] == [4_100_000_000] * 2


def test_a_gpu_that_is_lost_between_looks_gives_the_glances_before_it(play: Play) -> None:
    lost = Rule(EVERY_CALL, code=Nvml.GPU_IS_LOST, from_ms=250)
    scenario = play(Script((replace(ONE, rules=(lost,)), TWO)))
    source = source_of(scenario)
    source.devices()
    for _ in range(4):
        scenario.clock.advance(0.1)
        source.glance()
    samples = source.sample()
    assert [s.at_ns // 1_000_000 for s in samples if s.device == ONE.uuid] == [100, 200]
    assert len([s for s in samples if s.device == TWO.uuid]) == 5


def test_a_field_that_goes_away_is_replaced_and_comes_back_with_the_next_probe(play: Play) -> None:
    rules = tuple(
        Rule(call, code=Nvml.NOT_SUPPORTED, from_ms=1000, to_ms=2000)
        for call in (INSTANT_FIELD, AVERAGE_FIELD)
    )
    scenario = play(Script((replace(ONE, rules=rules),)))
    source, seen = source_of(scenario), []
    for _ in range(6):
        (sample,) = source.sample()
        seen.append((sample.power_mw, sample.power_is_averaged))
        scenario.clock.advance(0.5)
    source.devices()
    (sample,) = source.sample()
    whole, lost, plain = (300_000, False), (None, False), (300_000, True)
    assert seen == [whole, whole, lost, plain, plain, plain]
    assert (sample.power_mw, sample.power_is_averaged) == whole


# Loss


def test_a_lost_gpu_is_left_out_while_the_others_go_on(play: Play) -> None:
    lost = replace(ONE, rules=(Rule(EVERY_CALL, code=Nvml.GPU_IS_LOST, from_ms=1000, to_ms=3000),))
    scenario = play(Script((lost, TWO)))
    source, seen = source_of(scenario), []
    for _ in range(5):
        seen.append([sample.device for sample in source.sample()])
        scenario.clock.advance(1.0)
    assert seen == [
        ["GPU-1", "GPU-2"],
        ["GPU-2"],
        ["GPU-2"],
        ["GPU-1", "GPU-2"],
        ["GPU-1", "GPU-2"],
    ]


def test_a_lost_gpu_is_no_device_until_it_is_back(play: Play) -> None:
    lost = replace(ONE, rules=(Rule(EVERY_CALL, code=Nvml.GPU_IS_LOST, to_ms=1000),))
    scenario = play(Script((lost, TWO)))
    source = source_of(scenario)
    assert [device.uuid for device in source.devices()] == ["GPU-2"]
    scenario.clock.advance(1.0)
    assert [device.uuid for device in source.devices()] == ["GPU-1", "GPU-2"]


def test_an_unloaded_driver_is_one_clear_line(play: Play) -> None:
    gone = replace(ONE, rules=(refused(EVERY_CALL, Nvml.DRIVER_NOT_LOADED, from_ms=1000),))
    scenario = play(Script((gone, TWO)))
    source = source_of(scenario)
    source.sample()
    scenario.clock.advance(1.0)
    with pytest.raises(Unavailable, match="does not answer") as raised:
        source.sample()
    assert raised.value.code == "nvml_failed"
    assert "\n" not in raised.value.detail


def test_a_library_that_will_not_start_is_one_clear_line(play: Play) -> None:
    scenario = play(Script(init_error=Nvml.LIB_RM_VERSION_MISMATCH))
    with pytest.raises(Unavailable, match=r"version mismatch.*nvidia-smi") as raised:
        source_of(scenario)
    assert raised.value.code == "nvml_failed"


def test_without_a_library_the_answer_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_library(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", no_library)
    with pytest.raises(Unavailable) as raised:
        NvmlSource()
    assert raised.value.code == "nvml_absent"


def test_nvml_shut_down_by_another_library_is_started_again(play: Play) -> None:
    source = source_of(play(Script((ONE,))))
    source.sample()
    pynvml.nvmlShutdown()
    with pytest.raises(Unavailable):
        source.sample()
    assert len(source.sample()) == 1


def test_closing_twice_is_no_error(play: Play) -> None:
    source = source_of(play(Script((ONE,))))
    source.close()
    source.close()


def test_importing_the_source_loads_no_binding() -> None:
    program = "import sys, carbon.collect.nvml; sys.exit('pynvml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Processes


def uses(play: Play, gpu: Gpu, at_s: float = 10.0, **script: bool) -> Sequence[ProcessUse] | None:
    scenario = play(Script((gpu,), **script))
    scenario.clock.advance(at_s)
    return source_of(scenario).processes(gpu.uuid)


def test_activity_is_joined_with_memory(play: Play) -> None:
    gpu = replace(
        ONE,
        processes=(
            Process(11, sm_percent=60, memory_bytes=2 << 30),
            Process(12, sm_percent=20, memory_bytes=1 << 30),
            Process(13, sm_percent=0, memory_bytes=5 << 30),
        ),
    )
    assert uses(play, gpu) == [
        ProcessUse(11, 0.6, 2 << 30),
        ProcessUse(12, 0.2, 1 << 30),
        ProcessUse(13, 0.0, 5 << 30),
    ]


def test_activity_is_weighted_by_time_and_not_by_its_peak(play: Play) -> None:
    """Busy at 80 % for two of the eight marks that the last 1.5 s hold, beside a steady one."""
    burst = Process(21, sm_percent=80, from_ms=9000, to_ms=9400)
    gpu = replace(ONE, processes=(burst, Process(22, sm_percent=10)))
    seen = {use.pid: use for use in uses(play, gpu) or ()}
    assert seen[21].activity == pytest.approx(0.8 * 2 / 8)
    assert seen[22].activity == pytest.approx(0.1)
    assert seen[21].memory_bytes is None  # it has gone since


@pytest.mark.parametrize("empty_util_success", [True, False])
def test_a_gpu_at_rest_has_processes_of_no_activity(play: Play, empty_util_success: bool) -> None:
    gpu = replace(ONE, processes=(Process(31, sm_percent=0),))
    assert uses(play, gpu, empty_util_success=empty_util_success) == [ProcessUse(31, 0.0, 1 << 30)]
    assert uses(play, replace(gpu, processes=()), empty_util_success=empty_util_success) == []


def test_under_mig_activity_is_unknown_and_not_zero(play: Play) -> None:
    gpu = replace(ONE, mig=True, processes=(Process(41, sm_percent=50),))
    assert uses(play, gpu) == [ProcessUse(41, None, 1 << 30)]


def test_two_contexts_of_one_process_are_one_use(play: Play) -> None:
    gpu = replace(ONE, processes=(Process(51, sm_percent=30), Process(51, sm_percent=20)))
    assert uses(play, gpu) == [ProcessUse(51, 0.5, 2 << 30)]


def test_where_neither_is_told_nothing_is_said(play: Play) -> None:
    rules = (refused(PROCESS_UTILIZATION), refused(RUNNING_PROCESSES, Nvml.NO_PERMISSION))
    assert uses(play, replace(ONE, rules=rules)) is None


def test_activity_is_known_without_leave_to_list_contexts(play: Play) -> None:
    rules = (refused(RUNNING_PROCESSES, Nvml.NO_PERMISSION),)
    gpu = replace(ONE, rules=rules, processes=(Process(61, sm_percent=40),))
    assert uses(play, gpu) == [ProcessUse(61, 0.4, None)]


def test_more_processes_than_expected_are_all_seen(play: Play) -> None:
    many = tuple(Process(100 + i, sm_percent=1, memory_bytes=i + 1) for i in range(200))
    seen = uses(play, Gpu("GPU-1", processes=many))
    assert seen is not None
    assert [use.pid for use in seen] == [100 + i for i in range(200)]
    assert [use.memory_bytes for use in seen] == [i + 1 for i in range(200)]


def test_an_unknown_device_has_no_processes_to_tell(play: Play) -> None:
    assert source_of(play(Script((ONE,)))).processes("GPU-9") is None


def test_a_real_process_can_join_a_running_script(play: Play) -> None:
    scenario = play(Script((replace(ONE, processes=(Process("@trainer", sm_percent=90),)),)))
    source = source_of(scenario)
    scenario.clock.advance(5)
    assert source.processes("GPU-1") == []
    write_pids(scenario.pids_file, {"trainer": [os.getpid()], "other": [1]})
    assert source.processes("GPU-1") == [ProcessUse(os.getpid(), 0.9, 1 << 30)]


samples = st.tuples(
    st.integers(1, 4),
    st.integers(1, 50).map(lambda n: n * 100_000),
    st.integers(1, 100),
)


@given(st.lists(samples, max_size=30), st.randoms(use_true_random=False))
def test_activity_is_a_share_and_does_not_depend_on_the_order(
    given_samples: list[UtilSample], rng: object
) -> None:
    shuffled = list(given_samples)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis types its Random as object
    activity = activity_by_pid(given_samples)
    assert activity == pytest.approx(activity_by_pid(shuffled))
    assert all(0 < share <= 1 for share in activity.values())


def test_blank_percentages_are_no_activity() -> None:
    assert activity_by_pid([(1, 5, 0xFFFFFFFF)]) == {}


# Source and odometer together


@pytest.mark.parametrize(
    ("rules", "method", "bound"),
    [
        ((), Method.COUNTER, 0.005),
        ((refused(ENERGY_FIELD), refused(TOTAL_ENERGY)), Method.INTEGRATED, 0.03),
    ],
)
def test_a_minute_of_bursts_is_measured_near_its_true_energy(
    play: Play, rules: tuple[Rule, ...], method: Method, bound: float
) -> None:
    bursts = Power.bursts([(257, 600_000), (243, 140_000), (391, 600_000), (109, 140_000)])
    scenario = play(Script((replace(ONE, power=bursts, rules=rules),)))
    source = source_of(scenario)
    odometer = Odometer(source.devices()[0])
    for _ in range(600):
        scenario.clock.advance(0.103)
        assert not [f for sample in source.sample() for f in odometer.observe(sample)]
    closed = odometer.close(scenario.clock.monotonic_ns())
    assert closed is not None
    truth = scenario.script.true_energy_mj(0, closed.start_ns / 1e6, closed.end_ns / 1e6)
    assert closed.method is method
    assert abs(closed.energy_mj / truth - 1) <= bound


def test_a_driver_reload_costs_the_counter_no_more_than_one_step(play: Play) -> None:
    scenario = play(Script((replace(ONE, counter_start_mj=10**9, resets_ms=(30_000,)),)))
    source = source_of(scenario)
    odometer = Odometer(source.devices()[0])
    faults = []
    for _ in range(600):
        faults += [f.kind for sample in source.sample() for f in odometer.observe(sample)]
        scenario.clock.advance(0.1)
    closed = odometer.close(scenario.clock.monotonic_ns())
    assert faults == ["counter_reset"]
    assert closed is not None
    assert closed.energy_mj == pytest.approx(60 * 300_000, rel=0.003)


def test_the_library_refuses_a_script_that_it_does_not_understand(
    nvml_library: Path, tmp_path: Path
) -> None:
    script = tmp_path / "bad.txt"
    script.write_text("device GPU-1\nwattage 3\n")
    program = "import pynvml; pynvml.nvmlInit()"
    env = {**os.environ, "LD_LIBRARY_PATH": str(nvml_library), "CARBON_NVML_SCRIPT": str(script)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "line 2 of the script" in done.stderr


def test_the_library_carries_the_name_that_the_binding_loads(nvml_library: Path) -> None:
    assert ctypes.CDLL(str(nvml_library / "libnvidia-ml.so.1")).nvmlInitWithFlags is not None
