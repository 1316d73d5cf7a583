"""The command line, called as its entry point is, without a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ended, call


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which nothing was ever started."""
    for name in ("CARBON_URL", "CARBON_KEY", "CARBON_DB_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CARBON_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def carbon(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def run(*arguments: object) -> Ended:
        return call(capfd, *map(str, arguments))

    return run
