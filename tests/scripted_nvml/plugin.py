"""Fixtures. A test module takes them by `pytest_plugins = ["tests.scripted_nvml.plugin"]`."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scripted_nvml.build import LIBRARY, NoCompiler, build
from tests.scripted_nvml.scenario import Scenario, ScenarioClock
from tests.scripted_nvml.script import Script


@pytest.fixture(scope="session")
def nvml_library(request: pytest.FixtureRequest) -> Path:
    """The folder of the scripted libnvidia-ml.so.1."""
    cache = request.config.cache
    assert cache is not None
    try:
        return build(Path(cache.mkdir("scripted_nvml")))
    except NoCompiler as error:
        pytest.skip(f"scripted GPU: {error}")


@pytest.fixture
def play(
    nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Script], Scenario]]:
    """Lets the real binding of this process, and children given `env`, see the script's GPUs.

    Time stands still until `clock.advance`. The script's epoch is 1 700 000 000 000 ms unless
    it names one.
    """
    import pynvml

    library = ctypes.CDLL(str(nvml_library / LIBRARY))
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})

    def shut_down() -> None:
        while library.nvmlShutdown() == 0:
            pass

    def start(script: Script) -> Scenario:
        shut_down()
        epoch_ms = script.epoch_ms or 1_700_000_000_000
        clock_file, pids_file = tmp_path / "clock", tmp_path / "pids"
        full = replace(script, epoch_ms=epoch_ms, clock_file=clock_file, pids_file=pids_file)
        env = {
            "LD_LIBRARY_PATH": str(nvml_library),
            "CARBON_NVML_SCRIPT": str(full.write(tmp_path / "scenario.txt")),
        }
        monkeypatch.setenv("CARBON_NVML_SCRIPT", env["CARBON_NVML_SCRIPT"])
        clock = ScenarioClock(clock_file, epoch_ms)
        return Scenario(full, clock, {**os.environ, **env}, pids_file)

    yield start
    shut_down()
