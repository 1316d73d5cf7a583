"""`carbon db generate` and `carbon db copy`, as a user walks them."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import call


@pytest.mark.slow
def test_a_generated_year_is_carried_to_another_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small = ("--gpus", "3", "--workloads", "3", "--teams", "1", "--days", "2", "--raw-days", "0")
    folder = ("--data-dir", str(tmp_path / "made"))
    made = call(capfd, "db", "generate", *small, *folder, "--json").json
    assert made["gpus"] == 3
    assert made["planted"] == ["vision/parked-000", "vision/oversized-001", "vision/deferrable-002"]
    again = call(capfd, "db", "generate", *small, *folder)
    assert "new data folder" in again.failed(1)
    source = f"sqlite:///{tmp_path / 'made' / 'carbon.db'}"
    there = ("--from", source, "--to", f"sqlite:///{tmp_path / 'there.db'}")
    first = call(capfd, "db", "copy", *there, "--json").json
    assert first["energy_mj"] > 0
    assert call(capfd, "db", "copy", *there, "--json").json == first
    assert call(capfd, "db", "copy", "--from", source, "--to", "oracle://x").failed(2)


@pytest.mark.parametrize(
    "verb", [("check",), ("backup", "b.db"), ("restore", "b.db"), ("upgrade",)]
)
def test_what_is_no_url_is_one_line(
    verb: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = call(capfd, "db", *verb, "--db", "ledger.db").failed(2)
    assert "must begin with sqlite:/// or postgresql+psycopg://" in told


def test_a_mistyped_source_is_told_and_nothing_is_made(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    there = (
        "--from",
        f"sqlite:///{tmp_path / 'typo.db'}",
        "--to",
        f"sqlite:///{tmp_path / 'b.db'}",
    )
    assert "no database file" in call(capfd, "db", "copy", *there).failed(1)
    assert list(tmp_path.iterdir()) == []
