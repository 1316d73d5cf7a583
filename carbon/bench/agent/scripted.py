"""The scripted GPU driver of the checkout's tests, where there is a checkout."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from carbon.clock import FakeClock

_ROOT = Path(__file__).resolve().parents[3]


class Unscripted(Exception):
    """No scripted driver can be had here; the message says why."""


def scripts() -> Any:
    """The package that writes scripts and builds the driver. Raises Unscripted."""
    if not (_ROOT / "tests/scripted_nvml").is_dir():
        raise Unscripted("the scripted driver is part of the source checkout")
    if str(_ROOT) not in sys.path:
        sys.path.insert(0, str(_ROOT))
    return import_module("tests.scripted_nvml")


def library() -> Path:
    """The folder of the built driver, for LD_LIBRARY_PATH. Raises Unscripted."""
    package = scripts()
    try:
        folder = package.build(Path(tempfile.gettempdir()) / f"carbon-scripted-{os.getuid()}")
    except Exception as error:
        raise Unscripted(f"the scripted driver cannot be built: {error}") from error
    return Path(folder)


def environment(folder: Path, script: Path) -> dict[str, str]:
    """For a child that is to see the script's GPUs."""
    return {"LD_LIBRARY_PATH": str(folder), "CARBON_NVML_SCRIPT": str(script)}


def play_here(folder: Path, script: Path) -> None:
    """Lets this process's binding see the script's GPUs."""
    pynvml: Any = import_module("pynvml")
    driver = ctypes.CDLL(str(folder / "libnvidia-ml.so.1"))
    while driver.nvmlShutdown() == 0:
        pass
    pynvml.nvmlLib = driver
    pynvml._nvmlGetFunctionPointer_cache.clear()
    os.environ["CARBON_NVML_SCRIPT"] = str(script)


def scenario_clock(path: Path, epoch_ms: int) -> FakeClock:
    """A clock moved by hand that the scripted driver reads, too."""
    clock: FakeClock = import_module("tests.scripted_nvml.scenario").ScenarioClock(path, epoch_ms)
    return clock
