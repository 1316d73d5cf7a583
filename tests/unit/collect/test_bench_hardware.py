"""`carbon bench hardware` on scripted GPUs: its own arithmetic, before real ones are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from carbon.bench import hardware
from carbon.bench.figure import Figure, Options
from carbon.bench.hardware import _compared, _moves, measure
from carbon.collect.source import Sample
from tests.scripted_nvml import Gpu, Nvml, Power, Scenario, Script
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
