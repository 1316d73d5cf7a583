"""Zones kept fresh: one fetch for all processes, nothing said twice stored twice, own forecasts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from grid_double import Failure, GridDouble
from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.services.background.polling import Polling
from carbon.services.context import Context
from carbon.services.grid.feeds import build_feeds
from carbon.services.grid.intensity import points_of, rated_points, store_vintage
from carbon.services.grid.own_forecasts import OwnForecasts
from carbon.settings import Settings
from carbon.storage.engine import reading, writing
from carbon.storage.intensity import intensity_point, save_vintage

HOUR_MS = 3_600_000


@pytest.fixture
def context(memory: Engine, clock: FakeClock, tmp_path: Path, double: GridDouble) -> Context:
    settings = Settings(
        data_dir=tmp_path,
        zone="FR",
        neso_url=double.url,
        energy_charts_url=double.url,
        rte_url=double.url,
    )
    return Context(memory, settings, clock)


def rows(context: Context) -> int:
    with reading(context.engine) as connection:
        return connection.scalar(select(func.count()).select_from(intensity_point)) or 0


def vintage(now_ms: int, *values: float, source: str = "a", **other: object) -> Vintage:
    points = tuple(
        IntensityPoint(now_ms + i * HOUR_MS, now_ms + (i + 1) * HOUR_MS, v, PointKind.FORECAST)
        for i, v in enumerate(values)
    )
    made: dict = {"signal": Signal.AVERAGE, "scope": EmissionScope.LIFECYCLE} | other
    return Vintage("FR", source, made["signal"], made["scope"], now_ms, points)


def test_two_processes_on_one_store_ask_once(context: Context, double: GridDouble) -> None:
    zones = ["FR"]
    first, second = Polling(context), Polling(context)
    first._poller.poll_once(zones)
    asked = len(double.requests)
    assert asked > 0
    second._poller.poll_once(zones)
    assert len(double.requests) == asked
    context.clock.advance(900)  # type: ignore[attr-defined]
    second._poller.poll_once(zones)
    assert len(double.requests) > asked


def test_a_process_that_got_nothing_leaves_the_turn_to_another(
    context: Context, double: GridDouble
) -> None:
    double.failure = Failure.SERVER_ERROR
    Polling(context)._poller.poll_once(["FR"])
    double.failure = None
    told = Polling(context)._poller.poll_once(["FR"])
    assert all(status.ok for status in told)


def test_what_a_source_says_again_is_stored_once(context: Context, now_ms: int) -> None:
    store_vintage(context, vintage(now_ms, 100, 110, 120))
    later = vintage(now_ms, 100, 115, 120)
    later = Vintage("FR", "a", later.signal, later.scope, now_ms + 1, later.points)
    store_vintage(context, later)
    store_vintage(context, later)
    assert rows(context) == 4
    with reading(context.engine) as connection:
        told = points_of(connection, "FR", now_ms, now_ms + 3 * HOUR_MS)
    assert [p.g_per_kwh for p in told] == [100, 115, 120]


def test_a_value_taken_back_is_stored_again(context: Context, now_ms: int) -> None:
    for publication, value in enumerate([100, 110, 100]):
        said = vintage(now_ms, value)
        store_vintage(
            context,
            Vintage("FR", "a", said.signal, said.scope, now_ms + publication, said.points),
        )
    with reading(context.engine) as connection:
        [told] = points_of(connection, "FR", now_ms, now_ms + HOUR_MS)
    assert (rows(context), told.g_per_kwh) == (3, 100)


def test_what_was_known_at_a_moment_can_still_be_asked(context: Context, now_ms: int) -> None:
    store_vintage(context, vintage(now_ms, 100, 110))
    context.clock.advance(3600)  # type: ignore[attr-defined]
    said = vintage(now_ms, 100, 150)
    store_vintage(context, Vintage("FR", "a", said.signal, said.scope, now_ms + 9, said.points))
    with reading(context.engine) as connection:
        before, after = (
            points_of(connection, "FR", now_ms, now_ms + 2 * HOUR_MS, as_of_ms=at)
            for at in (now_ms, now_ms + HOUR_MS)
        )
    assert [p.g_per_kwh for p in before] == [100, 110]
    assert [p.g_per_kwh for p in after] == [100, 150]


def test_scopes_do_not_alternate_in_one_answer(context: Context, now_ms: int) -> None:
    actual = (IntensityPoint(now_ms - HOUR_MS, now_ms, 20.0, PointKind.ACTUAL),)
    ahead = (IntensityPoint(now_ms - HOUR_MS, now_ms, 60.0, PointKind.FORECAST),)
    life, direct = EmissionScope.LIFECYCLE, EmissionScope.DIRECT
    store_vintage(context, Vintage("FR", "rte", Signal.AVERAGE, direct, now_ms, actual))
    store_vintage(context, Vintage("FR", "energy_charts", Signal.AVERAGE, life, now_ms, ahead))
    with reading(context.engine) as connection:
        [told] = points_of(connection, "FR", now_ms - HOUR_MS, now_ms)
        [asked] = points_of(connection, "FR", now_ms - HOUR_MS, now_ms, scope=direct)
    assert (told.source, told.scope) == ("energy_charts", life)
    assert (asked.source, asked.g_per_kwh) == ("rte", 20.0)


def test_others_get_the_next_step_where_a_licence_forbids(context: Context, now_ms: int) -> None:
    store_vintage(context, vintage(now_ms, 77, source="electricity_maps"))
    store_vintage(context, vintage(now_ms, 88, source="energy_charts"))
    span = ("FR", now_ms, now_ms + HOUR_MS)
    [ours] = rated_points(context, *span)
    [theirs] = rated_points(context, *span, to_others=True)
    assert (ours.source, theirs.source) == ("electricity_maps", "energy_charts")
    free = context.settings.model_copy(update={"redistribute": "electricity_maps"})
    [freed] = rated_points(Context(context.engine, free, context.clock), *span, to_others=True)
    assert freed.source == "electricity_maps"


def weeks_of_history(context: Context, now_ms: int, source: str = "rte", weeks: int = 5) -> None:
    first_ms = now_ms // HOUR_MS * HOUR_MS - weeks * 168 * HOUR_MS
    points = tuple(
        IntensityPoint(
            first_ms + h * HOUR_MS,
            first_ms + (h + 1) * HOUR_MS,
            float(60 + 20 * np.sin(2 * np.pi * h / 24) + h * 7919 % 11),
        )
        for h in range(weeks * 168)
    )
    for at in range(0, len(points), 500):
        part = points[at : at + 500]
        store_vintage(
            context,
            Vintage("FR", source, Signal.AVERAGE, EmissionScope.DIRECT, now_ms, part),
        )


def test_a_zone_that_no_feed_foretells_gets_an_own_forecast(context: Context, now_ms: int) -> None:
    weeks_of_history(context, now_ms)
    own = OwnForecasts(context)
    assert own.refresh(["FR", "DE"]) == ["FR"]
    told = rated_points(context, "FR", now_ms, now_ms + 95 * HOUR_MS)
    assert {p.source for p in told} == {"own"}
    assert {p.kind for p in told} == {PointKind.FORECAST}
    context.clock.advance(3600)  # type: ignore[attr-defined]
    assert own.refresh(["FR"]) == ["FR"]


def test_an_own_forecast_from_a_restricted_source_is_not_passed_on(
    context: Context, now_ms: int
) -> None:
    weeks_of_history(context, now_ms, "electricity_maps")
    OwnForecasts(context).refresh(["FR"])
    span = ("FR", now_ms, now_ms + 24 * HOUR_MS)
    assert {p.source for p in rated_points(context, *span)} == {"own"}
    assert {p.source for p in rated_points(context, *span, to_others=True)} == {"typical"}


def test_a_zone_that_a_feed_foretells_needs_none(context: Context, now_ms: int) -> None:
    weeks_of_history(context, now_ms)
    said = vintage(now_ms, *[50.0] * 80, source="rte", scope=EmissionScope.DIRECT)
    store_vintage(context, said)
    assert OwnForecasts(context).refresh(["FR"]) == []


def names(context: Context, **settings: object) -> list[str]:
    changed = context.settings.model_copy(update=settings)
    return [f.name for f in build_feeds(Context(context.engine, changed, context.clock))]


def test_without_keys_the_keyless_feeds_are_there(context: Context) -> None:
    assert names(context) == ["neso", "energy_charts", "rte", "eia_files"]


def test_with_a_key_of_eia_its_files_are_not_asked_for(context: Context) -> None:
    found = names(context, eia_key=SecretStr("k"))
    assert "eia" in found
    assert "eia_files" not in found


def test_each_key_brings_its_feed(context: Context, tmp_path: Path) -> None:
    path = tmp_path / "entsoe.key"
    path.write_text("a-token\n")
    assert names(
        context,
        electricitymaps_key=SecretStr("k"),
        watttime_user="u",
        watttime_password=SecretStr("p"),
        watttime_regions="US-CAL-CISO=CAISO_NORTH",
        entsoe_key_file=path,
        eia_key=SecretStr("k"),
        site_intensity="plant.json",
    )[:5] == ["site", "electricity_maps", "watttime", "entsoe", "eia"]


def test_a_key_file_that_is_gone_keeps_nothing_from_starting(
    context: Context, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "eia" not in names(context, eia_key_file=tmp_path / "gone")
    assert "CARBON_EIA_KEY_FILE" in caplog.text


def test_a_key_is_not_shown_by_the_settings(new_context: Callable[[Engine], Context]) -> None:
    settings = Settings(eia_key="very-secret")  # type: ignore[arg-type]
    assert "very-secret" not in repr(settings)
    assert settings.secret("eia_key") == "very-secret"


def test_three_days_of_silence_lose_and_invent_nothing(
    context: Context, double: GridDouble, now_ms: int
) -> None:
    clock = context.clock
    assert isinstance(clock, FakeClock)
    clock.step_wall_ms(now_ms - clock.now_ms())
    polling = Polling(context)._poller
    polling.poll_once(["FR"])
    double.failure = Failure.SERVER_ERROR
    for _ in range(72):
        clock.advance(3600)
        polling.poll_once(["FR"])
    double.failure = None
    double.now_ms = clock.now_ms()
    clock.advance(3600)
    polling.poll_once(["FR"])
    with reading(context.engine) as connection:
        told = points_of(
            connection, "FR", now_ms, double.now_ms - HOUR_MS, scope=EmissionScope.LIFECYCLE
        )
    assert {p.kind for p in told} == {PointKind.ACTUAL}
    assert told[0].start_ms == now_ms
    assert told[-1].end_ms == double.now_ms - HOUR_MS
    assert all(a.end_ms == b.start_ms for a, b in pairwise(told))


def test_a_feed_that_is_away_lets_the_past_stay_what_it_was(
    context: Context, double: GridDouble, now_ms: int
) -> None:
    polling = Polling(context)._poller
    polling.poll_once(["FR"])
    before = rows(context)
    double.failure = Failure.EMPTY_OBJECT
    for _ in range(30):
        context.clock.advance(3600)  # type: ignore[attr-defined]
        polling.poll_once(["FR"])
    assert rows(context) == before


# Answers that are kept


def test_a_kept_answer_is_the_same_as_a_fresh_one(context: Context, now_ms: int) -> None:
    store_vintage(context, vintage(now_ms, *range(100, 130)))
    clock = context.clock
    assert isinstance(clock, FakeClock)
    clock.step_wall_ms(now_ms - clock.now_ms())
    for start_h, end_h in [(0.0, 24.0), (0.2, 0.9), (1.5, 20.25), (10, 96)]:
        span = (now_ms + int(start_h * HOUR_MS), now_ms + int(end_h * HOUR_MS))
        kept = rated_points(context, "FR", *span)
        with reading(context.engine) as connection:
            fresh = points_of(connection, "FR", *span)
        assert kept == fresh
        assert kept == rated_points(context, "FR", *span)


def test_what_any_process_stores_shows_at_once(context: Context, now_ms: int) -> None:
    clock = context.clock
    assert isinstance(clock, FakeClock)
    clock.step_wall_ms(now_ms - clock.now_ms())
    span = ("FR", now_ms, now_ms + HOUR_MS)
    [*typical] = rated_points(context, *span)
    with writing(context.engine) as connection:
        save_vintage(connection, vintage(now_ms, 77.0), now_ms)
    [told] = rated_points(context, *span)
    assert {point.kind for point in typical} == {PointKind.TYPICAL}
    assert told.g_per_kwh == 77.0


def test_signals_scopes_and_readers_are_kept_apart(context: Context, now_ms: int) -> None:
    clock = context.clock
    assert isinstance(clock, FakeClock)
    clock.step_wall_ms(now_ms - clock.now_ms())
    store_vintage(context, vintage(now_ms, 50.0, source="electricity_maps"))
    span = ("FR", now_ms, now_ms + HOUR_MS)
    assert rated_points(context, *span)[0].source == "electricity_maps"
    assert rated_points(context, *span, to_others=True)[0].kind is PointKind.TYPICAL
    assert rated_points(context, *span, Signal.MARGINAL) == []
