"""The answer about the hours ahead: the same whether written anew or at hand, and never of before
what this process stored."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine
from stores import migrate

from carbon.clock import FakeClock, from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.services.context import Context
from carbon.services.grid import forecast_answer as answers
from carbon.services.grid import rated_ahead
from carbon.services.grid.forecast_answer import forecast_answer, forecast_at_hand, point_answer
from carbon.services.grid.intensity import rated_points, store_vintage
from carbon.settings import Settings
from carbon.storage.engine import create_engine

NOW_MS = from_rfc3339("2026-04-25T18:10:00Z")
HOUR_MS = 3_600_000
AVERAGE = Signal.AVERAGE


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine: nobody looks again by itself."""
    monkeypatch.setattr(rated_ahead, "LOOK_AGAIN_NS", 10**15)


def service(engine: Engine) -> tuple[Context, FakeClock]:
    clock = FakeClock(NOW_MS)
    return Context(engine, Settings(feeds=False), clock), clock


@pytest.fixture
def context(memory: Engine) -> tuple[Context, FakeClock]:
    return service(memory)


def publish(context: Context, hours: int, g_per_kwh: float, gap_h: int = 30) -> None:
    """From an hour ago on, with one hour left out, in half-hours."""
    first = NOW_MS // HOUR_MS * HOUR_MS - HOUR_MS
    points = tuple(
        IntensityPoint(at, at + HOUR_MS // 2, g_per_kwh + at // HOUR_MS % 7, PointKind.FORECAST)
        for at in range(first, first + hours * HOUR_MS, HOUR_MS // 2)
        if (at - first) // HOUR_MS != gap_h
    )
    life = EmissionScope.LIFECYCLE
    store_vintage(context, Vintage("DE", "feed", AVERAGE, life, NOW_MS, points, "name us"))


def told(answer: object) -> dict[str, object]:
    decoded: dict[str, object] = msgspec.json.decode(msgspec.json.encode(answer))
    return decoded


@pytest.mark.parametrize("hours", [1, 2, 24, 29, 96, 97, 168])
def test_what_is_at_hand_is_what_would_be_written(
    context: tuple[Context, FakeClock], hours: int
) -> None:
    service, clock = context
    publish(service, 60, 200.0)
    for step_s in (0, 60, 1200, 600, 47):
        clock.advance(step_s)
        asked = (service, "de", hours, AVERAGE, None)
        written = told(forecast_answer(*asked))
        assert told(forecast_at_hand(*asked)) == written
        end_ms = clock.now_ms() + hours * HOUR_MS
        plain = rated_points(service, "DE", clock.now_ms(), end_ms, AVERAGE, None)
        assert written["points"] == [told(point_answer(point)) for point in plain]


def test_nothing_is_at_hand_before_the_first_question(context: tuple[Context, FakeClock]) -> None:
    assert forecast_at_hand(context[0], "DE", 24, AVERAGE, None) is None


def test_a_window_without_points_is_empty(context: tuple[Context, FakeClock]) -> None:
    asked = (context[0], "DE", 24, Signal.MARGINAL, None)
    assert told(forecast_answer(*asked))["points"] == []
    assert told(forecast_at_hand(*asked))["points"] == []


def test_what_this_process_stores_shows_at_once(context: tuple[Context, FakeClock]) -> None:
    service, _ = context
    asked = (service, "DE", 1, AVERAGE, None)
    publish(service, 60, 200.0)
    before = told(forecast_answer(*asked))
    publish(service, 60, 300.0)
    assert forecast_at_hand(*asked) is None
    assert told(forecast_answer(*asked))["points"] != before["points"]
    assert forecast_at_hand(*asked) is not None


def test_another_hour_or_zone_is_written_first(context: tuple[Context, FakeClock]) -> None:
    service, clock = context
    forecast_answer(service, "DE", 24, AVERAGE, None)
    assert forecast_at_hand(service, "FR", 24, AVERAGE, None) is None
    assert forecast_at_hand(service, "DE", 24, AVERAGE, EmissionScope.DIRECT) is None
    assert forecast_at_hand(service, "DE", 24, AVERAGE, None) is not None
    clock.advance(3600)
    assert forecast_at_hand(service, "DE", 24, AVERAGE, None) is None


def test_what_another_process_stores_shows_after_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    engines = [create_engine(url) for _ in range(2)]
    migrate(engines[0])
    (here, _), (there, _) = (service(engine) for engine in engines)
    asked = (here, "DE", 1, AVERAGE, None)
    before = told(forecast_answer(*asked))
    publish(there, 60, 200.0)
    assert told(forecast_at_hand(*asked)) == before
    monkeypatch.setattr(rated_ahead, "LOOK_AGAIN_NS", 0)
    assert forecast_at_hand(*asked) is None
    assert told(forecast_answer(*asked)) != before
    for engine in engines:
        engine.dispose()


def test_written_windows_are_bounded(
    context: tuple[Context, FakeClock], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_MOST_WINDOWS", 3)
    service, _ = context
    publish(service, 60, 200.0)
    for hours in range(1, 9):
        forecast_answer(service, "DE", hours, AVERAGE, None)
    kept = [
        hours
        for hours in range(1, 9)
        if forecast_at_hand(service, "DE", hours, AVERAGE, None) is not None
    ]
    assert 1 <= len(kept) <= 3
    assert kept[-1] == 8
