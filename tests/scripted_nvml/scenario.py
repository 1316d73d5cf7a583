"""A script being played, with a clock moved by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carbon.clock import FakeClock
from tests.scripted_nvml.script import Script


class ScenarioClock(FakeClock):
    """A clock moved by hand that the scripted library reads, too."""

    def __init__(self, path: Path, epoch_ms: int) -> None:
        super().__init__(epoch_ms)
        self._path = path
        self._write()

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self._write()

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{self.monotonic_ns() / 1e6:.3f}")
        fresh.replace(self._path)


@dataclass(frozen=True)
class Scenario:
    """A script being played; `env` makes another process play it, too."""

    script: Script
    clock: ScenarioClock
    env: dict[str, str]
    pids_file: Path
