"""`carbon bench hardware` on scripted GPUs: its own arithmetic, before real ones are at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from carbon.bench import hardware, power_limits
from carbon.bench.figure import Figure, Options
from carbon.bench.hardware import _compared, _moves, measure
from carbon.bench.power_limits import sweep
from carbon.collect.nvml import NvmlSource
from carbon.collect.source import Sample
from tests.scripted_nvml import Gpu, Nvml, Power, Rule, Scenario, Script
from tests.scripted_nvml.build import LIBRARY

pytest_plugins = ["tests.scripted_nvml.plugin"]

Play = Callable[[Script], Scenario]


def looks(gain: float, update_ms: int = 100, power_mw: int = 300_000) -> list[Sample]:
    """10 s at 10 ms; the counter moves each `update_ms`, `gain` times as fast as it should."""
    return [
        Sample(
            "GPU-1",
            at_ms * 1_000_000,
            round(power_mw * gain * (at_ms // update_ms * update_ms) / 1000),
            power_mw,
        )
        for at_ms in range(0, 10_000, 10)
    ]


def test_moves_of_the_counter_are_seen_when_they_happen() -> None:
    assert _moves(looks(1.0))[:3] == [100_000_000, 200_000_000, 300_000_000]


@pytest.mark.parametrize("gain", [0.95, 1.0, 1.05])
def test_the_gap_is_the_counters_gain(gain: float) -> None:
    compared = _compared(looks(gain))
    assert compared is not None
    assert compared.gap_percent == pytest.approx(100 * (gain - 1), abs=0.01)
    assert compared.mean_w == pytest.approx(300 * gain, rel=0.001)


def test_a_counter_that_does_not_move_is_compared_with_nothing() -> None:
    assert _compared(looks(0.0)) is None
    assert _compared([]) is None


@pytest.fixture
def running(
    nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Script], None]:
    """Scripted GPUs whose time is the real one."""
    import ctypes

    import pynvml

    def start(script: Script) -> None:
        library: Any = ctypes.CDLL(str(nvml_library / LIBRARY))
        monkeypatch.setattr(pynvml, "nvmlLib", library)
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
        while library.nvmlShutdown() == 0:
            pass
        monkeypatch.setenv("CARBON_NVML_SCRIPT", str(script.write(tmp_path / "script.txt")))

    return start


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_idle_gpus_are_measured_and_load_that_cannot_be_had_is_said(
    running: Callable[[Script], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_WORK", "import sys; sys.exit(3)")
    running(Script((Gpu("GPU-12345678", Power.constant(250_000), name="Scripted"),)))
    found = by_name(measure(Options(quick=True)))
    assert (found["one look at all GPUs"].value or 0) > 0
    period = found["counter's update period, Scripted 12345678"].value
    assert period == pytest.approx(100, rel=0.5)
    gap = found["counter over integrated power, idle, Scripted 12345678"].value
    assert gap == pytest.approx(0, abs=5)
    assert found["counter over integrated power under load"].value is None
    assert "PyTorch" in str(found["work lost to the agent"].note)


def test_work_with_the_agent_on_and_off_is_compared_in_turns(
    running: Callable[[Script], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    running(Script())
    monkeypatch.setattr(hardware, "_work_done", lambda span_s: 1_000)
    agents: list[bool] = []

    class NoAgent:
        def __init__(self, is_on: bool) -> None:
            agents.append(is_on)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(hardware, "_agent", NoAgent)
    (figure,) = hardware._slowdown(4, 0.0)
    assert figure.value == 0
    assert agents == [False, True, True, False, False, True, True, False]


def test_where_no_gpu_is_the_bench_says_so_and_nothing_else(play: Play) -> None:
    play(Script(init_error=Nvml.DRIVER_NOT_LOADED))
    (figure,) = measure(Options())
    assert figure.value is None
    assert figure.met is None


def test_a_driver_without_gpus_is_said_too(play: Play) -> None:
    play(Script(gpus=()))
    (figure,) = measure(Options())
    assert figure.note == "the driver knows no GPU"


#: As the real work reports itself, on GPUs that nobody has to work.
PRETENCE = """
import sys, time
print("ready", flush=True)
time.sleep(float(sys.argv[3]))
print(500, flush=True)
"""


def limit_mw(uuid: str) -> int:
    import pynvml

    return int(pynvml.nvmlDeviceGetPowerManagementLimit(pynvml.nvmlDeviceGetHandleByUUID(uuid)))


def swept(span_s: float = 0.5) -> list[Figure]:
    source = NvmlSource()
    return list(sweep(source, source.devices(), span_s, hardware._work_measured))


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARBON_BENCH_POWER_LIMITS", "1")
    monkeypatch.setattr(power_limits, "_SETTLE_S", 0.0)
    monkeypatch.setattr(hardware, "_WORK", PRETENCE)


def test_limits_are_swept_from_the_least_to_the_most_and_put_back(
    running: Callable[[Script], None], asked_for: None
) -> None:
    gpu = Gpu("GPU-1", Power.constant(300_000), limit_mw=650_000, update_ms=0)
    running(Script((gpu, replace(gpu, uuid="GPU-2"))))
    figures = swept()
    assert [figure.name.split(" at ")[1] for figure in figures] == [
        "200 W",
        "325 W",
        "450 W",
        "575 W",
        "700 W",
    ]
    for figure in figures:
        assert "600 W drawn" in str(figure.note)
        assert figure.value == pytest.approx(600 * 0.5 / 500, rel=0.3)
    assert limit_mw("GPU-1") == limit_mw("GPU-2") == 650_000


def test_limits_are_put_back_where_the_sweep_breaks_off(
    running: Callable[[Script], None], asked_for: None
) -> None:
    running(Script((Gpu("GPU-1", limit_mw=650_000),)))
    source = NvmlSource()

    def break_off(span_s: float, begin: Callable[[], None]) -> int | None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sweep(source, source.devices(), 0.1, break_off))
    assert limit_mw("GPU-1") == 650_000


def test_nothing_is_set_where_nobody_asked_or_nobody_may(
    running: Callable[[Script], None], asked_for: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = Rule("nvmlDeviceSetPowerManagementLimit", code=Nvml.NO_PERMISSION)
    running(Script((Gpu("GPU-1", rules=(forbidden,)),)))
    (figure,) = swept()
    assert "root" in str(figure.note)
    monkeypatch.delenv("CARBON_BENCH_POWER_LIMITS")
    (figure,) = swept()
    assert "CARBON_BENCH_POWER_LIMITS=1" in str(figure.note)


def test_without_work_a_limit_says_nothing(
    running: Callable[[Script], None], asked_for: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_WORK", "import sys; sys.exit(3)")
    running(Script((Gpu("GPU-1"),)))
    assert {figure.value for figure in swept()} == {None}


@pytest.mark.parametrize(("count", "factor"), [(2, 12.71), (10, 2.26), (12, 2.20), (500, 2.09)])
def test_intervals_are_as_wide_as_so_few_pairs_ask_for(count: int, factor: float) -> None:
    assert hardware.t95(count) == factor
