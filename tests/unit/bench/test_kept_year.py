"""The generated ledgers of a bench: made once, measured in the same minutes, kept where asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import call
from sqlalchemy import func, select

from carbon.bench import query, restate
from carbon.bench.figure import Options
from carbon.bench.generated.fleet import Fleet
from carbon.bench.generated.year import Year
from carbon.bench.kept_year import Size, few, many
from carbon.bench.ledger import Place, Steps
from carbon.errors import InvalidInput
from carbon.services.proofs.kept_findings import KeptFindings
from carbon.storage.energy import energy_interval
from carbon.storage.engine import reading

SIZE = Size(Fleet(gpus=4, workload_count=4, teams=2), 3, 360, 1_440)


@pytest.fixture(autouse=True)
def no_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made by a process of their own, which takes longer than all else here."""
    monkeypatch.setattr(KeptFindings, "make", lambda *_: None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("SQLite", tmp_path, None, True)


def raw_rows(year: Year) -> tuple[int, int]:
    """(how many, when the last ends)"""
    e = energy_interval.c
    with reading(year.context.engine) as connection:
        count, last_ms = connection.execute(select(func.count(), func.max(e.end_ms))).one()
    assert last_ms == year.end_ms
    return count, last_ms


def test_what_is_kept_is_used_again(place: Place) -> None:
    with few(place, SIZE, Steps("")) as year:
        made = raw_rows(year)
        ids = year.devices, year.owners, year.holders, year.units, year.source
    with many(place, SIZE, Steps("")) as year:
        assert raw_rows(year) == (1_440, made[1])
    assert made[0] == 360
    steps = Steps("")
    with few(place, SIZE, steps) as again:
        assert raw_rows(again) == made
        assert ids == (again.devices, again.owners, again.holders, again.units, again.source)
    with many(place, SIZE, steps) as again:
        assert raw_rows(again) == (1_440, made[1])
    assert steps.figures == []


def test_one_that_was_interrupted_is_begun_anew(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with few(place, SIZE, Steps("")):
        pass
    write = Year.write_readings

    def stopped(year: Year, start_ms: int, end_ms: int) -> None:
        write(year, start_ms, end_ms - 900_000)
        raise KeyboardInterrupt

    monkeypatch.setattr(Year, "write_readings", stopped)
    with pytest.raises(KeyboardInterrupt), many(place, SIZE, Steps("")):
        pass
    monkeypatch.undo()
    with many(place, SIZE, Steps("")) as year:
        assert raw_rows(year)[0] == 1_440


def test_one_of_another_size_is_refused(place: Place) -> None:
    with few(place, SIZE, Steps("")):
        pass
    other = Size(SIZE.fleet, SIZE.days, SIZE.few, 2 * SIZE.many)
    with (
        pytest.raises(InvalidInput, match="take another folder") as refused,
        few(place, other, Steps("")),
    ):
        pass
    assert refused.value.code == "other_year"


def test_a_rate_of_loading_leaves_the_rows_as_they_were(place: Place) -> None:
    with few(place, SIZE, Steps("")) as year:
        before = raw_rows(year)
        assert query._loading_rate(year, SIZE) > 0
        assert raw_rows(year) == before


def test_a_kept_year_is_priced_anew_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restate, "size_of", lambda _: Size(SIZE.fleet, 17, SIZE.few, SIZE.many))
    options = Options(quick=True, part="sqlite", kept=tmp_path)
    for _ in range(2):
        figures = {figure.name: figure for figure in restate.measure(options)}
        priced = figures["SQLite: price 35 M rows anew"]
        # 3 of 17 days lie behind the 14 hot ones, with 4 GPUs of which one is held by another.
        assert str(priced.note).startswith(f"{3 * 96 * 5:,} rows in ")


@pytest.mark.parametrize("asked", [["ingest"], ["query", "--db", "sqlite:///x.db"]])
def test_a_folder_is_for_the_benches_that_generate_a_year(
    asked: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ended = call(capfd, "bench", *asked, "--data", str(tmp_path / "kept"))
    assert "--data is for query, restate and web" in ended.failed(2)
    assert not (tmp_path / "kept").exists()
