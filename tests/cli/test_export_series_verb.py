"""`carbon export intensity|prices`: CSV in which each row names its source and what that asks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended

from carbon.client import Client
from carbon.exports.series_csv import INTENSITY_COLUMNS, PRICE_COLUMNS

Carbon = Callable[..., Ended]
SPAN = ("--start", "2026-03-01T00:00:00Z", "--end", "2026-03-01T02:00:00Z")
HOUR = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-01T01:00:00Z", "vintage": None}
POINT = HOUR | {
    "g_per_kwh": 210.5,
    "kind": "actual",
    "source": "neso",
    "signal": "average",
    "scope": "direct",
    "flags": ["gaps", "stale"],
}
PRICE = HOUR | {"per_kwh": 0.02, "currency": "EUR", "source": "entsoe"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was asked; `points` is what is answered."""
    told: dict[str, Any] = {"points": [POINT], "prices": [PRICE]}

    def intensity(self: Client, zone: str, **query: object) -> dict[str, Any]:
        told["query"] = query
        sources = [{"source": "neso", "attribution": "NESO, CC BY 4.0"}]
        return {"zone": zone, "points": told["points"], "sources": sources}

    def prices(self: Client, zone: str, **query: object) -> dict[str, Any]:
        licences = {"entsoe": "ENTSO-E"}
        return {"zone": zone, "points": told["prices"], "licences": licences}

    monkeypatch.setattr(Client, "intensity", intensity)
    monkeypatch.setattr(Client, "prices", prices)
    monkeypatch.setenv("CARBON_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CARBON_KEY", "ck_none")
    return told


def test_intensity_is_asked_for_as_others_may_have_it(
    carbon: Carbon, asked: dict[str, Any]
) -> None:
    ended = carbon("export", "intensity", "GB", *SPAN, "--scope", "direct")
    [row] = csv.DictReader(ended.out.splitlines())
    assert tuple(row) == INTENSITY_COLUMNS
    assert (row["g_per_kwh"], row["flags"]) == ("210.5", "gaps stale")
    assert (row["source"], row["attribution"]) == ("neso", "NESO, CC BY 4.0")
    assert asked["query"]["to_others"] == "true"
    assert asked["query"]["scope"] == "direct"


def test_prices_name_their_source(carbon: Carbon, asked: dict[str, Any]) -> None:
    [row] = csv.DictReader(carbon("export", "prices", "DE", *SPAN).out.splitlines())
    assert tuple(row) == PRICE_COLUMNS
    assert (row["per_kwh"], row["currency"], row["attribution"]) == ("0.02", "EUR", "ENTSO-E")


def test_a_file_is_written_and_told(carbon: Carbon, asked: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "gb.csv"
    told = carbon("export", "intensity", "GB", *SPAN, "--out", file, "--json").json
    assert told == {"zone": "GB", "rows": 1, "file": str(file)}
    assert len(file.read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize(("verb", "what"), [("intensity", "points"), ("prices", "prices")])
def test_nothing_known_is_an_error_and_no_empty_file(
    carbon: Carbon, asked: dict[str, Any], tmp_path: Path, verb: str, what: str
) -> None:
    asked[what] = []
    file = tmp_path / "none.csv"
    ended = carbon("export", verb, "DE", *SPAN, "--out", file)
    assert ended.code == 1
    assert "nothing is known of DE" in ended.err
    assert not file.exists()
