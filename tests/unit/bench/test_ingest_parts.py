"""Which rows a part of `carbon bench ingest` takes."""

from __future__ import annotations

import pytest

from carbon.bench import ingest
from carbon.bench.figure import Figure, Options, reported


@pytest.mark.parametrize(
    ("part", "taken"),
    [
        (None, ["databases", "outage", "imports"]),
        ("databases", ["databases"]),
        ("outage", ["outage"]),
        ("imports", ["imports"]),
    ],
)
def test_a_part_takes_its_own_rows_alone(
    monkeypatch: pytest.MonkeyPatch, part: str | None, taken: list[str]
) -> None:
    def row(name: str) -> list[Figure]:
        return [reported(name, 1.0, "1")]

    monkeypatch.setattr(ingest, "_of_databases", lambda _: row("databases"))
    monkeypatch.setattr(ingest, "tracker_outage_figures", lambda _: row("outage"))
    monkeypatch.setattr("carbon.bench.imports.measure", lambda _: row("imports"))
    assert [one.name for one in ingest.measure(Options(part=part))] == taken
    assert part is None or part in ingest.PARTS
