"""Which intensity holds at an instant, and its mean over a window."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.intensity import (
    EmissionScope,
    PointKind,
    RatedPoint,
    Signal,
    is_plausible,
    mean_g_per_kwh,
    select,
)


def rated(
    start_ms: int,
    end_ms: int,
    g_per_kwh: float = 100.0,
    kind: PointKind = PointKind.ACTUAL,
    source: str = "feed",
    vintage: int = 1,
    published_ms: int = 0,
    source_rank: int = 0,
) -> RatedPoint:
    return RatedPoint(
        start_ms,
        end_ms,
        g_per_kwh,
        kind,
        source,
        Signal.AVERAGE,
        EmissionScope.LIFECYCLE,
        vintage,
        published_ms,
        source_rank,
    )


#: Each point of its own vintage, as no vintage overlaps itself.
point_lists = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.integers(1, 20),
        st.integers(1, 900),
        st.sampled_from(PointKind),
        st.integers(0, 3),
        st.integers(0, 2),
    ),
    max_size=10,
).map(
    lambda drawn: [
        rated(start, start + span, g, kind, "feed", n + 1, published, rank)
        for n, (start, span, g, kind, published, rank) in enumerate(drawn)
    ]
)


@given(point_lists)
def test_at_every_instant_the_most_preferred_point_holds(points: list[RatedPoint]) -> None:
    selected = select(points, 5, 50)
    for at in range(5, 50):
        offered = [p for p in points if p.start_ms <= at < p.end_ms]
        held = [p for p in selected if p.start_ms <= at < p.end_ms]
        assert len(held) == (1 if offered else 0)
        if offered:
            best = min(offered, key=lambda p: p.preference)
            assert (held[0].vintage, held[0].g_per_kwh) == (best.vintage, best.g_per_kwh)


@given(point_lists)
def test_the_selection_is_ordered_without_overlap_and_inside_the_window(
    points: list[RatedPoint],
) -> None:
    selected = select(points, 5, 50)
    assert all(5 <= p.start_ms < p.end_ms <= 50 for p in selected)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(selected))


@given(point_lists, st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(
    points: list[RatedPoint], rng: random.Random
) -> None:
    shuffled = list(points)
    rng.shuffle(shuffled)
    assert select(shuffled, 0, 60) == select(points, 0, 60)


@given(point_lists)
def test_selecting_twice_changes_nothing(points: list[RatedPoint]) -> None:
    selected = select(points, 0, 60)
    assert select(selected, 0, 60) == selected


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (rated(0, 9, kind=PointKind.ACTUAL), rated(0, 9, kind=PointKind.ESTIMATED)),
        (rated(0, 9, kind=PointKind.ESTIMATED), rated(0, 9, kind=PointKind.FORECAST)),
        (rated(0, 9, kind=PointKind.FORECAST), rated(0, 9, kind=PointKind.TYPICAL)),
        (rated(0, 9, kind=PointKind.TYPICAL), rated(0, 9, kind=PointKind.YEARLY)),
        (rated(0, 9, source_rank=0), rated(0, 9, source_rank=1, published_ms=99)),
        (rated(0, 9, published_ms=2), rated(0, 9, published_ms=1)),
        (rated(0, 9, vintage=2), rated(0, 9, vintage=1)),
    ],
)
def test_actual_before_forecast_primary_before_secondary_newest_first(
    better: RatedPoint, worse: RatedPoint
) -> None:
    assert select([worse, better], 0, 9) == [better]


def test_a_gap_stays_a_gap() -> None:
    assert select([rated(0, 3), rated(6, 9)], 0, 9) == [rated(0, 3), rated(6, 9)]
    assert mean_g_per_kwh([rated(0, 3), rated(6, 9)], 0, 9) is None


def test_what_a_better_point_cut_in_two_holds_on_both_sides() -> None:
    year = rated(0, 100, 400.0, PointKind.YEARLY)
    hour = rated(40, 50, 80.0)
    assert [(p.start_ms, p.end_ms, p.g_per_kwh) for p in select([hour, year], 0, 100)] == [
        (0, 40, 400.0),
        (40, 50, 80.0),
        (50, 100, 400.0),
    ]


def test_the_mean_is_weighted_by_time() -> None:
    points = [rated(0, 10, 100.0), rated(10, 40, 300.0)]
    assert mean_g_per_kwh(points, 0, 40) == 250.0
    assert mean_g_per_kwh(points, 5, 15) == 200.0
    assert mean_g_per_kwh(points, 12, 13) == 300.0


@given(point_lists, st.integers(0, 59), st.integers(1, 30))
def test_the_mean_of_a_covered_window_is_that_of_its_milliseconds(
    points: list[RatedPoint], start_ms: int, span_ms: int
) -> None:
    end_ms = start_ms + span_ms
    selected = select(points, 0, 100)
    held = [p.g_per_kwh for at in range(start_ms, end_ms) for p in selected if _holds(p, at)]
    mean = mean_g_per_kwh(selected, start_ms, end_ms)
    if len(held) < span_ms:
        assert mean is None
    else:
        assert mean == pytest.approx(sum(held) / span_ms)


def _holds(point: RatedPoint, at_ms: int) -> bool:
    return point.start_ms <= at_ms < point.end_ms


def test_an_empty_window_has_no_mean() -> None:
    assert mean_g_per_kwh([rated(0, 10)], 5, 5) is None
    assert mean_g_per_kwh([], 0, 10) is None


@pytest.mark.parametrize("g_per_kwh", [0.0, -0.0, -1.0, 2000.1, math.nan, math.inf, -math.inf])
def test_zero_is_never_believed_nor_what_no_grid_ever_was(g_per_kwh: float) -> None:
    assert not is_plausible(g_per_kwh)


@pytest.mark.parametrize("g_per_kwh", [0.1, 20.0, 2000.0])
def test_real_grids_are_believed(g_per_kwh: float) -> None:
    assert is_plausible(g_per_kwh)


def test_a_yearly_figure_moves_no_job_and_only_what_was_seen_is_credited() -> None:
    assert [k for k in PointKind if not k.may_shift] == [PointKind.YEARLY]
    assert [k for k in PointKind if k.may_credit] == [PointKind.ACTUAL, PointKind.ESTIMATED]
