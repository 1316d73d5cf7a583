"""The typical hours as a step of the ladder: below all that is foretold, above the year."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon.clock import FakeClock
from carbon.domain.intensity import (
    EmissionScope,
    IntensityPoint,
    PointKind,
    RatedPoint,
    Signal,
    Vintage,
)
from carbon.domain.units import MS_PER_HOUR
from carbon.grid.typical import typical_ahead
from carbon.services.context import Context
from carbon.services.grid.intensity import rated_points, store_vintage
from carbon.services.jobs.plan_points import points_until
from carbon.settings import Settings
from carbon.storage.engine import create_engine
from carbon.storage.migrations import upgrade

LIFE = EmissionScope.LIFECYCLE


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    engine = create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")
    upgrade(engine)
    yield Context(engine, Settings(data_dir=tmp_path, feeds=False), FakeClock())
    engine.dispose()


def brought(context: Context, first_h: int, *values: float) -> None:
    """Hourly figures of DE from `first_h` hours before now on."""
    now_ms = context.clock.now_ms() // MS_PER_HOUR * MS_PER_HOUR
    points = tuple(
        IntensityPoint(
            now_ms + at * MS_PER_HOUR,
            now_ms + (at + 1) * MS_PER_HOUR,
            value,
            PointKind.ACTUAL if at < 0 else PointKind.FORECAST,
        )
        for at, value in enumerate(values, first_h)
    )
    store_vintage(context, Vintage("DE", "meter", Signal.AVERAGE, LIFE, now_ms, points))


def ahead(context: Context, hours: int = 24, **asked: object) -> list[RatedPoint]:
    now_ms = context.clock.now_ms()
    return rated_points(context, "DE", now_ms, now_ms + hours * MS_PER_HOUR, **asked)  # type: ignore[arg-type]


def test_with_nothing_known_they_are_told_and_nothing_is_credited(context: Context) -> None:
    points = ahead(context)
    assert {p.source for p in points} == {"typical"}
    assert all(p.kind.may_shift and not p.kind.may_credit for p in points)
    assert points[0].start_ms == context.clock.now_ms()
    assert points[-1].end_ms == context.clock.now_ms() + 24 * MS_PER_HOUR


def test_they_move_a_job_only_where_the_zone_is_measured(context: Context) -> None:
    """Else nobody could ever say what waiting had saved: what is left is the year's figure."""
    deadline_ms = context.clock.now_ms() + 24 * MS_PER_HOUR
    assert {p.kind for p in points_until(context, "DE", deadline_ms)} == {PointKind.YEARLY}
    brought(context, -3, 300.0, 310.0, 305.0)
    assert {p.source for p in points_until(context, "DE", deadline_ms)} == {"typical"}


def test_hours_of_a_far_year_are_not_made(context: Context) -> None:
    far = ahead(context, hours=24 * 365 * 1_000)
    assert sum(p.source == "typical" for p in far) <= 24 * 29
    assert far[-1].kind is PointKind.YEARLY


def test_what_is_foretold_for_some_hours_is_not_continued_at_another_level(
    context: Context,
) -> None:
    brought(context, 0, 900.0, 880.0)
    kinds = [p.kind for p in ahead(context)]
    assert PointKind.TYPICAL not in kinds
    assert kinds[-1] is PointKind.YEARLY


def test_a_few_measured_hours_give_the_shape_its_level(context: Context) -> None:
    plain = ahead(context)
    brought(context, -3, *(p.g_per_kwh for p in _before(context, 3, scale=2.0)))
    doubled = ahead(context)
    assert [p.source for p in doubled] == [p.source for p in plain]
    for once, twice in zip(plain, doubled, strict=True):
        assert twice.g_per_kwh == pytest.approx(2 * once.g_per_kwh, rel=1e-3)


def test_days_of_history_put_the_own_forecast_in_its_place(context: Context) -> None:
    brought(context, -24 * 8, *([300.0, 200.0] * 12 * 8))
    assert {p.source for p in ahead(context)} == {"own"}


def test_a_marginal_signal_and_a_scope_without_a_figure_have_no_typical_hours(
    context: Context,
) -> None:
    assert ahead(context, signal=Signal.MARGINAL) == []
    assert ahead(context, scope=EmissionScope.DIRECT) == []


def test_the_past_keeps_its_yearly_figure(context: Context) -> None:
    now_ms = context.clock.now_ms()
    [past] = rated_points(context, "DE", now_ms - 9 * MS_PER_HOUR, now_ms - 2 * MS_PER_HOUR)
    assert past.kind is PointKind.YEARLY


def test_a_level_that_no_grid_has_is_not_told() -> None:
    known = [RatedPoint(0, MS_PER_HOUR, 1e-9, PointKind.ACTUAL, "m", Signal.AVERAGE, LIFE)]
    assert typical_ahead("DE", MS_PER_HOUR, 2 * MS_PER_HOUR, known, None, 9) == []


def _before(context: Context, hours: int, scale: float) -> list[RatedPoint]:
    """The typical hours that lie behind, at another level."""
    now_ms = context.clock.now_ms() // MS_PER_HOUR * MS_PER_HOUR
    points = typical_ahead("DE", now_ms - hours * MS_PER_HOUR, now_ms, [], LIFE, 9)
    return [
        RatedPoint(p.start_ms, p.end_ms, scale * p.g_per_kwh, p.kind, p.source, p.signal, p.scope)
        for p in points
    ]
