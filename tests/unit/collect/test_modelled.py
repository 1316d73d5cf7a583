"""Power from a model: what it says, whose figures it says it with, and that it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.collect.cpu_model import (
    COMMAND,
    CpuFigures,
    FigureCache,
    Machine,
    child_environment,
    parse_answer,
)
from carbon.collect.cpu_times import CpuTimes, read_cpu_times
from carbon.collect.machine import part_uuid
from carbon.collect.modelled import Load, ModelledSource, cpu_power_mw
from carbon.collect.odometer import Odometer
from carbon.collect.source import DeviceKind
from carbon.domain.energy import Method

MACHINE = Machine("Xeon 9", sockets=(0, 1), threads=64, memory_bytes=128 << 30)
FIGURES = CpuFigures(tdp_mw=500_001, ram_mw=36_001, source="CodeCarbon 3.3.2")
NEVER = (sys.executable, "-c", "raise SystemExit('must not be asked')")

ENDLESS = (sys.executable, "-c", "import time; time.sleep(600)")


def printing(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


class ScriptedTimes:
    """CPU times moved by hand."""

    def __init__(self) -> None:
        self.now = CpuTimes(1000.0, 5000.0)

    def __call__(self) -> CpuTimes:
        return self.now

    def run(self, busy_s: float, total_s: float) -> None:
        self.now = CpuTimes(self.now.busy_s + busy_s, self.now.total_s + total_s)


@pytest.fixture
def cache_dir(tmp_path: Path) -> Path:
    FigureCache(tmp_path).put(MACHINE, FIGURES)
    return tmp_path


def known_source(cache_dir: Path, times: ScriptedTimes, clock: FakeClock) -> ModelledSource:
    return ModelledSource(
        cache_dir, machine=MACHINE, identity="m1", clock=clock, cpu_times=times, command=NEVER
    )


# The model


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_cpu_power_lies_between_a_tenth_and_all_of_the_rated_power(
    tdp_mw: int, load: float
) -> None:
    assert tdp_mw // 10 <= cpu_power_mw(tdp_mw, load) <= tdp_mw


def test_cpu_power_is_idle_power_plus_load() -> None:
    assert [cpu_power_mw(200_000, load) for load in (0.0, 0.5, 1.0)] == [20_000, 110_000, 200_000]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.02, 5)), min_size=1, max_size=20))
def test_looking_more_often_does_not_change_the_energy(spans: list[tuple[float, float]]) -> None:
    times = ScriptedTimes()
    often, once = Load(times), Load(times)
    energy = 0.0
    for share, total_s in spans:
        times.run(share * total_s, total_s)
        energy += cpu_power_mw(10**9, often.since_last()) * total_s
    whole_s = sum(total_s for _, total_s in spans)
    assert energy == pytest.approx(cpu_power_mw(10**9, once.since_last()) * whole_s, rel=1e-6)


def test_load_is_the_busy_share_since_the_last_look_and_stays_while_clocks_stand() -> None:
    times = ScriptedTimes()
    load = Load(times)
    times.run(busy_s=0.5, total_s=2.0)
    assert load.since_last() == 0.25
    assert load.since_last() == 0.25
    times.run(busy_s=2.0, total_s=2.0)
    assert load.since_last() == 1.0
    times.run(busy_s=-0.1, total_s=2.0)  # iowait of Linux may go backwards
    assert load.since_last() == 0.0


def test_this_machines_cpu_times_are_within_reason() -> None:
    times = read_cpu_times()
    assert 0 < times.busy_s <= times.total_s


# The source


def test_each_socket_has_a_cpu_and_a_memory_and_they_sum_to_the_machine(cache_dir: Path) -> None:
    source = known_source(cache_dir, ScriptedTimes(), FakeClock())
    assert source.ready
    devices = source.devices()
    assert [device.uuid for device in devices] == [
        part_uuid("m1", part) for part in ("package-0", "package-1", "dram-0", "dram-1")
    ]
    assert [device.model for device in devices] == ["Xeon 9", "Xeon 9", "DRAM 69 GB", "DRAM 69 GB"]
    assert [device.power_limit_mw for device in devices] == [250_000, 250_001, 18_000, 18_001]


def test_samples_are_marked_as_modelled_and_follow_the_load(cache_dir: Path) -> None:
    times, clock = ScriptedTimes(), FakeClock()
    source = known_source(cache_dir, times, clock)
    clock.advance(1.0)
    times.run(busy_s=32.0, total_s=64.0)
    samples = source.sample()
    assert all(sample.power_is_modelled and sample.counter_mj is None for sample in samples)
    assert {sample.at_ns for sample in samples} == {clock.monotonic_ns()}
    assert sum(s.power_mw or 0 for s in samples) == cpu_power_mw(500_001, 0.5) + 36_001


def test_energy_of_a_modelled_device_is_known_as_modelled(cache_dir: Path) -> None:
    times, clock = ScriptedTimes(), FakeClock()
    source = known_source(cache_dir, times, clock)
    odometer = Odometer(source.devices()[0])
    for busy_s in (0.0, 64.0, 0.0):
        assert not odometer.observe(source.sample()[0])
        clock.advance(1.0)
        times.run(busy_s, 64.0)
    assert not odometer.observe(source.sample()[0])
    closed = odometer.close(clock.monotonic_ns())
    assert closed is not None
    assert closed.method is Method.MODELLED
    assert closed.energy_mj == pytest.approx(25_000 + 250_000 + 25_000, abs=2)


def test_what_a_meter_measures_is_not_modelled_again(cache_dir: Path) -> None:
    source = ModelledSource(cache_dir, kinds={DeviceKind.DRAM}, machine=MACHINE, command=NEVER)
    assert {device.kind for device in source.devices()} == {DeviceKind.DRAM}
    assert len(source.sample()) == 2
    assert source.processes(source.devices()[0].uuid) is None
    source.close()


# Asking


def answer_of(figures: CpuFigures) -> str:
    fields = ("tdp_mw", "ram_mw", "source", "is_generic")
    return json.dumps({name: getattr(figures, name) for name in fields})


def test_codecarbon_is_asked_once_and_then_never_again(tmp_path: Path) -> None:
    first = ModelledSource(tmp_path, machine=MACHINE, command=printing(answer_of(FIGURES)))
    assert first.wait(60)
    again = ModelledSource(tmp_path, machine=MACHINE, command=NEVER)
    assert again.ready
    assert again.devices() == first.devices()


def test_until_the_answer_is_there_nothing_is_claimed(tmp_path: Path) -> None:
    source = ModelledSource(tmp_path, machine=MACHINE, command=ENDLESS)
    assert not source.ready
    assert source.devices() == []
    assert source.sample() == []
    assert not source.wait(0)
    source.close()


@pytest.mark.parametrize(
    "command",
    [
        NEVER,
        ("/nonexistent/python",),
        printing("no figures"),
        printing(""),
        printing('{"tdp_mw": 0, "ram_mw": 5, "source": "x"}'),
        printing('{"tdp_mw": "many", "ram_mw": 5, "source": "x"}'),
    ],
)
def test_without_an_answer_the_constants_say_that_they_are_constants(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    source = ModelledSource(tmp_path, machine=MACHINE, command=command)
    assert source.wait(60)
    devices = source.devices()
    assert all("fallback constants" in device.model for device in devices)
    assert sum(d.power_limit_mw or 0 for d in devices) == 64 * 4_000 + 128 * 375
    assert FigureCache(tmp_path).get(MACHINE) is None  # asked again at the next start


def test_a_child_that_does_not_end_is_ended(tmp_path: Path) -> None:
    clock = FakeClock()
    source = ModelledSource(tmp_path, machine=MACHINE, clock=clock, command=ENDLESS)
    clock.advance(29)
    assert not source.ready
    clock.advance(1)
    assert source.ready
    assert "fallback" in source.devices()[0].model


def test_words_before_the_answer_do_no_harm() -> None:
    printed = f"a library's greeting\n{answer_of(FIGURES)}\n".encode()
    assert parse_answer(printed) == FIGURES


def test_the_child_does_not_take_a_slurm_jobs_share_for_the_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert "SLURM_JOB_ID" not in child_environment()


def test_the_real_codecarbon_answers_in_a_child_of_its_own() -> None:
    done = subprocess.run(COMMAND, capture_output=True, check=True, env=child_environment())
    figures = parse_answer(done.stdout)
    assert figures is not None
    assert figures.source.startswith("CodeCarbon ")
    assert figures.tdp_mw >= 1000
    assert figures.ram_mw >= 1000


def test_the_parent_loads_neither_codecarbon_nor_pandas() -> None:
    program = (
        "import sys, carbon.collect.modelled;"
        "sys.exit(bool({'codecarbon', 'pandas', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# The cache


def test_figures_are_kept_by_kind_of_machine(tmp_path: Path) -> None:
    cache = FigureCache(tmp_path / "new")
    other = Machine("EPYC 7", (0,), 8, 16 << 30)
    cache.put(MACHINE, FIGURES)
    assert cache.get(other) is None
    cache.put(other, CpuFigures(1, 2, "x", is_generic=True))
    assert cache.get(MACHINE) == FIGURES
    assert cache.get(other) == CpuFigures(1, 2, "x", is_generic=True)


@pytest.mark.parametrize("text", ["", "{", '{"a": 5}', "[]"])
def test_a_broken_cache_is_no_cache_and_is_mended_by_the_next_answer(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "cpu_models.json").write_text(text)
    cache = FigureCache(tmp_path)
    assert cache.get(MACHINE) is None
    cache.put(MACHINE, FIGURES)
    assert cache.get(MACHINE) == FIGURES


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = FigureCache(tmp_path / "file")
    cache.put(MACHINE, FIGURES)
    assert cache.get(MACHINE) is None


def test_this_machine_has_a_cpu_threads_and_memory() -> None:
    here = Machine.here()
    assert here.threads >= 1
    assert here.memory_gb >= 1
    assert here.key.startswith(here.cpu)
