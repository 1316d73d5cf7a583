"""`carbon import prices`: a file is one publication, however many sendings it takes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended

import carbon.cli.prices as verb
from carbon.client import Client
from carbon.clock import SystemClock

Carbon = Callable[..., Ended]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    bodies: list[dict[str, Any]] = []

    def post_prices(self: Client, zone: str, body: dict[str, Any]) -> dict[str, Any]:
        bodies.append({"zone": zone, **body})
        return {"accepted": len(body["points"]), "refused": []}

    ticks = count(1_800_000_000_000, 1_000)
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: next(ticks))
    monkeypatch.setattr(Client, "post_prices", post_prices)
    monkeypatch.setattr(verb, "_POINTS_AT_ONCE", 2)
    monkeypatch.setenv("CARBON_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("CARBON_KEY", "ck_none")
    return bodies


def test_all_parts_of_a_file_are_published_at_one_moment(
    carbon: Carbon, tmp_path: Path, sent: list[dict[str, Any]]
) -> None:
    hours = "".join(f"2026-01-01T{hour:02}:00Z,{hour * 10}\n" for hour in range(5))
    file = tmp_path / "prices.csv"
    file.write_text(f"time,DE\n{hours}")
    told = carbon("import", "prices", file, "--zone", "DE", "--unit", "EUR/MWh", "--json").json
    assert (told["accepted"], told["currency"], told["zone"]) == (5, "EUR", "DE")
    assert [len(body["points"]) for body in sent] == [2, 2, 1]
    assert len({body["published_at"] for body in sent}) == 1
    assert sent[1]["points"][0]["per_kwh"] == 0.02


def test_a_unit_that_is_no_price_sends_nothing(
    carbon: Carbon, tmp_path: Path, sent: list[dict[str, Any]]
) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("time,DE\n2026-01-01T00:00Z,1\n")
    refused = carbon("import", "prices", file, "--zone", "DE", "--unit", "MWh")
    assert (refused.code, sent) == (2, [])
