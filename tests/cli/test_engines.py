"""`--engine local|ray`: of restating and backtests, as a user calls them."""

from __future__ import annotations

import math
import random
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import call
from stores import migrate

from carbon.storage.engine import create_engine

Capture = pytest.CaptureFixture[str]
NO_RAY = "Ray is not installed: pip install 'carbon-ledger[ray]'"


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Fifty days of two zones that follow the hour."""
    rng, first = random.Random(5), datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        f"{first + timedelta(hours=h):%Y-%m-%dT%H:%MZ},{level:.1f},{level * 0.6:.1f}"
        for h in range(50 * 24)
        for level in [300 + 80 * math.sin(h / 24 * 2 * math.pi) + rng.uniform(-20, 20)]
    ]
    path = tmp_path / "history.csv"
    path.write_text("\n".join(["time,DE,FR", *rows]) + "\n")
    return path


@pytest.mark.slow
def test_a_backtest_on_ray_says_the_same_to_the_bit(history: Path, capfd: Capture) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    asked = ("intensity", "backtest", "--file", str(history), "--zone", "DE", "--json")
    here = call(capfd, *asked).json
    assert here["origins"] == 50 * 24 - 24 + 1 - 1000
    assert call(capfd, *asked, "--engine", "ray").json == here


def test_a_cluster_that_is_away_is_told_at_once(
    capfd: Capture, history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would try again for minutes."""
    monkeypatch.setattr("carbon.cli.engine.find_spec", lambda name: object())
    asked = ("intensity", "backtest", "--file", str(history), "--zone", "DE", "--engine", "ray")
    with socket.socket() as nobody:  # bound, and listens to none
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        for form in (address, f"ray://{address}"):
            monkeypatch.setenv("RAY_ADDRESS", form)
            assert f"no Ray answers at RAY_ADDRESS={form}" in call(capfd, *asked).failed(1)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:port")
    assert "RAY_ADDRESS=127.0.0.1:port" in call(capfd, *asked).err


def test_an_empty_ledger_is_restated_as_empty_and_bad_times_are_named(
    tmp_path: Path, capfd: Capture
) -> None:
    store = migrate(create_engine(f"sqlite:///{tmp_path / 'carbon.db'}"))
    store.dispose()
    folder = ("--data-dir", str(tmp_path))
    window = ("--start", "2026-01-01T00:00:00Z", "--end", "2026-02-01T00:00:00Z")
    assert call(capfd, "db", "restate", *window, *folder, "--json").json == {"months": []}
    backwards = ("--start", window[3], "--end", window[1])
    assert "end must lie after start" in call(capfd, "db", "restate", *backwards, *folder).misused()
    for bad in ("2026-01-01", "yesterday"):
        told = call(capfd, "db", "restate", "--start", bad, "--end", window[3], *folder).misused()
        assert "--start" in told
    assert "local, ray" in call(capfd, "db", "restate", *window, "--engine", "x").misused()
    assert "lifecycle" in call(capfd, "db", "restate", *window, "--scope", "x").misused()
