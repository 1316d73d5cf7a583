"""What feeds have done to others: days of 23 and 25 hours, lists of nothing, names that do not
resolve, clocks that step. Through the poller where it is the poller's to bear; `docs/grid.md`
names the test of each other failure."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from grid_double import GridDouble, curve
from grid_double.eia_files_shape import AUTHORITIES
from grid_double.eia_files_shape import header as balance_header
from grid_double.eia_files_shape import row as balance_row
from grid_double.eia_shape import KEY as EIA_KEY
from grid_double.electricity_maps_shape import KEY as EM_KEY
from grid_double.watttime_shape import PASSWORD, USER

from carbon.clock import FakeClock, from_rfc3339
from carbon.domain.intensity import IntensityPoint, Vintage
from carbon.grid.eia import Eia
from carbon.grid.eia_balance import read_balance
from carbon.grid.electricity_maps import ElectricityMaps
from carbon.grid.energy_charts import EnergyCharts
from carbon.grid.feed import Feed, FeedAnswerInvalid, FeedUnreachable
from carbon.grid.neso import Neso
from carbon.grid.poller import Poller
from carbon.grid.rte import Rte
from carbon.grid.source_factors import Fuel
from carbon.grid.validation import validate
from carbon.grid.watttime import WattTime

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PARIS = ZoneInfo("Europe/Paris")
#: Midnight of Paris to the next: March has 23 hours in between, October 25.
SHORT_DAY = ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23)
LONG_DAY = ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25)
Make = Callable[[httpx2.Client, FakeClock, str], tuple[Feed, str]]
KEYLESS: dict[str, Make] = {
    "neso": lambda http, clock, url: (Neso(http, clock, url), "GB"),
    "energy_charts": lambda http, clock, url: (EnergyCharts(http, clock, url), "FR"),
    "rte": lambda http, clock, url: (Rte(http, clock, url), "FR"),
}
MAKERS: dict[str, Make] = KEYLESS | {
    "eia": lambda http, clock, url: (Eia(http, clock, EIA_KEY, url), "US-CAL-CISO"),
    "electricity_maps": lambda http, clock, url: (
        ElectricityMaps(http, clock, EM_KEY, ["DE"], url),
        "DE",
    ),
    "watttime": lambda http, clock, url: (
        WattTime(http, clock, USER, PASSWORD, {"US-CAL-CISO": "CAISO_NORTH"}, url),
        "US-CAL-CISO",
    ),
}


def in_local_time(body: dict[str, Any]) -> dict[str, Any]:
    """As RTE writes it: the hour that comes twice differs by its offset alone."""
    for record in body.get("results", []):
        moment = datetime.fromisoformat(record["date_heure"])
        record["date_heure"] = moment.astimezone(PARIS).isoformat()
    return body


def whole_points(vintages: list[Vintage], start_ms: int, end_ms: int) -> list[IntensityPoint]:
    points = [point for vintage in vintages for point in vintage.points]
    return [p for p in points if start_ms <= p.start_ms and p.end_ms <= end_ms]


@pytest.mark.parametrize("name", KEYLESS)
@pytest.mark.parametrize("day", [SHORT_DAY, LONG_DAY], ids=["23 hours", "25 hours"])
def test_a_civil_day_of_another_length_loses_and_doubles_nothing(
    name: str, day: tuple[str, str, int], http: httpx2.Client
) -> None:
    start_ms, end_ms = from_rfc3339(day[0]), from_rfc3339(day[1])
    now_ms = end_ms + 6 * HOUR_MS
    with GridDouble(now_ms) as double:
        double.alter = in_local_time
        feed, zone = KEYLESS[name](http, FakeClock(now_ms), double.url)
        vintages = feed.fetch(zone, start_ms, end_ms)
    points = whole_points(vintages, start_ms, end_ms)
    assert sum(p.end_ms - p.start_ms for p in points) == day[2] * HOUR_MS
    assert all(a.end_ms == b.start_ms for a, b in pairwise(points))
    assert all(abs(p.g_per_kwh - curve(p.start_ms)) <= 1 for p in points)
    assert all(validate(vintage, now_ms).quarantined == () for vintage in vintages)


@pytest.mark.parametrize("day", [SHORT_DAY, LONG_DAY], ids=["23 hours", "25 hours"])
def test_eia_s_local_hours_are_left_alone(day: tuple[str, str, int]) -> None:
    start_ms, end_ms = from_rfc3339(day[0]), from_rfc3339(day[1])
    ends = range(start_ms + HOUR_MS, end_ms + 1, HOUR_MS)
    rows = [",".join(f'"{cell}"' for cell in balance_row("CISO", at)) for at in ends]
    found = read_balance(iter([",".join(balance_header()), *rows]), 0, AUTHORITIES)
    assert list(found["CISO"].hours[Fuel.NUCLEAR].end_ms) == list(ends)
    assert len(ends) == day[2]


def emptied(body: dict[str, Any]) -> dict[str, Any]:
    """Every list of the answer without its rows."""
    return {
        key: [] if isinstance(value, list) else emptied(value) if isinstance(value, dict) else value
        for key, value in body.items()
    }


@pytest.mark.parametrize("name", MAKERS)
def test_a_list_of_nothing_is_no_answer_and_never_zero(
    name: str, http: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    double.alter = emptied
    feed, zone = MAKERS[name](http, clock, double.url)
    with pytest.raises(FeedAnswerInvalid):
        feed.fetch(zone, now_ms - DAY_MS, now_ms + DAY_MS)


@pytest.mark.parametrize("name", MAKERS)
def test_a_name_that_does_not_resolve_is_a_feed_that_is_away(
    name: str,
    http: httpx2.Client,
    clock: FakeClock,
    now_ms: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_args: object, **_others: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    feed, zone = MAKERS[name](http, clock, "http://feed.example.org")
    with pytest.raises(FeedUnreachable, match="Name or service not known"):
        feed.fetch(zone, now_ms - DAY_MS, now_ms + DAY_MS)


@pytest.mark.parametrize("step_ms", [-2 * HOUR_MS, 2 * HOUR_MS], ids=["back", "ahead"])
def test_a_clock_that_steps_loses_no_measurement_and_invents_none(
    step_ms: int, http: httpx2.Client, clock: FakeClock, double: GridDouble, now_ms: int
) -> None:
    """The feed's clock is right; ours steps, and is set right again."""
    stored: dict[int, float] = {}

    def keep(vintage: Vintage) -> None:
        measured = (p for p in vintage.points if p.kind.may_credit)
        stored.update({p.start_ms: p.g_per_kwh for p in measured})

    feed = Neso(http, clock, double.url)
    poller = Poller([feed], keep, lambda *_: None, clock, jitter=lambda: 0.0)
    for step in (0, step_ms, -step_ms, 0):
        clock.step_wall_ms(step)
        for _ in range(3):
            poller.poll_once(["GB"])
            clock.advance(1800)
            double.now_ms += 1_800_000
    clock.advance(DAY_MS / 1000)
    double.now_ms += DAY_MS
    poller.poll_once(["GB"])
    starts = sorted(stored)
    assert all(b - a == 1_800_000 for a, b in pairwise(starts))
    assert starts[-1] + 3_600_000 > double.now_ms
    assert all(value == pytest.approx(curve(at), abs=1) for at, value in stored.items())
