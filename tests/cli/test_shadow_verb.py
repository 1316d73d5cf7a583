"""`carbon shadow`: jobs that ran, replayed with what was known then, and nothing moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended

from carbon import client as clients
from carbon.clock import from_rfc3339, to_rfc3339

Carbon = Callable[..., Ended]
HOUR = 3_600_000
HEAD = "JobID|JobName|User|Account|State|Submit|Start|End|AllocCPUS|NodeList"


class Grid:
    """A server that knows one zone: dirty by day, clean by night."""

    kind = "actual"

    def __enter__(self) -> Grid:
        return self

    def __exit__(self, *_: object) -> None: ...

    def intensity(self, zone: str, start: str, end: str) -> dict[str, Any]:
        marks = range(from_rfc3339(start), from_rfc3339(end), HOUR)
        points = [
            {
                "start": to_rfc3339(at),
                "end": to_rfc3339(at + HOUR),
                "g_per_kwh": 100.0 if at // HOUR % 24 < 6 else 400.0,
                "kind": self.kind,
            }
            for at in marks
        ]
        return {"zone": zone, "points": points}


@pytest.fixture
def grid(monkeypatch: pytest.MonkeyPatch) -> type[Grid]:
    monkeypatch.setattr(clients, "Client", Grid)
    return Grid


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    """A week of jobs of two hours and more, each submitted in the evening."""
    lines = [HEAD]
    for day in range(1, 8):
        for team in ("ml", "bio"):
            hours = f"2026-03-{day:02d}T18:00:00|2026-03-{day:02d}T18:00:00"
            lines.append(
                f"{day}{len(team)}|train|ana|{team}|COMPLETED|{hours}|2026-03-{day:02d}T21:00:00|8|n1"
            )
    file = tmp_path / "sacct.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_nights_would_have_been_cleaner(carbon: Carbon, grid: type[Grid], accounts: Path) -> None:
    told = carbon("shadow", accounts, "--zone", "DE", "--json").json
    # 14 jobs of 3 h x 8 cpus x 10 W = 3.36 kWh at 400 g.
    assert told["as_they_came_g"] == pytest.approx(3.36 * 400)
    assert told["saving_g"] == pytest.approx(told["as_they_came_g"] - told["shifted_g"])
    assert 0 < told["saving_share"] <= 0.75
    assert told["best_possible_g"] == pytest.approx(3.36 * 100)
    assert sorted(told["teams"]) == ["bio", "ml"]
    assert told["flags"] == ["power_assumed"]


def test_a_grid_that_is_not_known_names_the_mend(
    carbon: Carbon, grid: type[Grid], accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "kind", "yearly")
    shown = carbon("shadow", accounts, "--zone", "DE").out
    assert "carbon intensity backfill --zone DE --since 2026-02-15T18:00:00Z" in shown


def test_people_read_it_in_lines(carbon: Carbon, grid: type[Grid], accounts: Path) -> None:
    shown = carbon("shadow", accounts, "--zone", "DE", "--watts-per-cpu", "20").out
    assert shown.startswith("14 jobs: 2.69 kg CO2e as they came")
    assert "power_assumed" in shown


def test_what_is_not_measured_is_said(
    carbon: Carbon, grid: type[Grid], accounts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid, "kind", "yearly")
    told = carbon("shadow", accounts, "--zone", "DE", "--json").json
    assert told["hours_known_share"] == 0
    assert "intensity_not_actual" in told["flags"]


def test_a_file_without_jobs_is_refused(carbon: Carbon, grid: type[Grid], tmp_path: Path) -> None:
    empty = tmp_path / "none.txt"
    empty.write_text(HEAD + "\n")
    ended = carbon("shadow", empty, "--zone", "DE")
    assert ended.code == 2
    assert "no job that has ended" in ended.err
