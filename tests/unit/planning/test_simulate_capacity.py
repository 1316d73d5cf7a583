"""`carbon simulate --capacity`: one JSON line, whatever solver works behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from carbon.cli import simulate as verb
from carbon.errors import InvalidInput

Replay = Callable[..., dict[str, object]]


@pytest.fixture
def replay(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Replay:
    rows = [f"{3600 * hour},{7200 + 600 * (hour % 7)},2" for hour in range(40)]
    (tmp_path / "jobs.csv").write_text("\n".join(["arrival_time,length,cpus", *rows]) + "\n")
    grid = [str(400 - 25 * min(hour % 24, 24 - hour % 24)) for hour in range(240)]
    (tmp_path / "grid.csv").write_text("\n".join(["X", *grid]) + "\n")
    app = typer.Typer()
    verb.register(app)

    def of(policy: str, *options: str) -> dict[str, object]:
        files = ["--jobs", str(tmp_path / "jobs.csv"), "--intensity", str(tmp_path / "grid.csv")]
        words = [*files, "--zone", "X", "--policy", policy, "--json", *options]
        app(words, standalone_mode=False)
        return dict(json.loads(capfd.readouterr().out))

    return of


def test_agnostic_in_a_pool_is_earliest_deadline_first_and_saves_nothing(replay: Replay) -> None:
    outcome = replay("agnostic", "--capacity", "8")
    assert outcome["carbon_g"] == outcome["agnostic_g"]
    assert outcome["share_of_oracle"] == 0
    assert outcome["late_jobs"] == 0


def test_less_capacity_leaves_less_to_save(replay: Replay) -> None:
    tight, wide = (
        replay("oracle-interruptible", "--capacity", cpus)["normalised"] for cpus in ("6", "60")
    )
    assert wide < tight < 1


def test_the_own_policy_lies_between_both(replay: Replay) -> None:
    outcome = replay("carbon-interruptible", "--capacity", "8", "--lengths", "known")
    assert outcome["oracle_g"] <= outcome["carbon_g"] < outcome["agnostic_g"]
    assert outcome["late_jobs"] == 0


def test_a_policy_that_never_pauses_has_no_place_in_a_pool(replay: Replay) -> None:
    with pytest.raises(InvalidInput) as refused:
        replay("carbon", "--capacity", "8")
    assert refused.value.code == "policy_without_capacity"
