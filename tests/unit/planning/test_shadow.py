"""Jobs that ran, replayed as they would have been planned."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.domain.units import MS_PER_HOUR as HOUR
from carbon.errors import InvalidInput
from carbon.planning.shadow import Hour, QueueJob, Shadow, shadow, span_ms

START = 500_000 * HOUR
JOBS = st.lists(
    st.builds(
        QueueJob,
        st.sampled_from(["ml", "web", "bio"]),
        st.integers(START, START + 48 * HOUR),
        st.integers(60_000, 6 * HOUR),
        st.sampled_from([50.0, 400.0]),
    ),
    min_size=1,
    max_size=12,
)


def nights(jobs: list[QueueJob], waits_h: tuple[float, float] = (6, 24)) -> list[Hour]:
    """Clean for six hours of each day."""
    first, last = span_ms(jobs, waits_h[1])
    return [
        Hour(at, at + HOUR, 100.0 if at // HOUR % 24 < 6 else 400.0, True)
        for at in range(first, last + HOUR, HOUR)
    ]


def made(jobs: list[QueueJob], points: list[Hour]) -> Shadow:
    return shadow(jobs, points, (6, 24), FakeClock(START))


@given(JOBS)
def test_what_teams_emitted_sums_to_the_whole_and_the_best_is_below_all(
    jobs: list[QueueJob],
) -> None:
    told = made(jobs, nights(jobs))
    of_teams = sum(team.agnostic_g for team in told.by_team.values())
    assert of_teams == pytest.approx(told.whole.agnostic_g)
    assert sum(team.jobs for team in told.by_team.values()) == len(jobs)
    assert told.whole.oracle_g <= told.whole.carbon_g * (1 + 1e-9)
    assert told.whole.late_jobs == 0


@given(JOBS)
def test_on_a_grid_that_never_changes_nothing_is_saved(jobs: list[QueueJob]) -> None:
    told = made(jobs, [hour._replace(g_per_kwh=300.0) for hour in nights(jobs)])
    assert told.whole.carbon_g == pytest.approx(told.whole.agnostic_g)
    kwh = sum(job.length_ms / HOUR * job.power_w / 1000 for job in jobs)
    assert told.whole.agnostic_g == pytest.approx(kwh * 300)


@given(JOBS, st.integers(2, 12))
def test_finer_points_say_the_same(jobs: list[QueueJob], parts: int) -> None:
    whole = nights(jobs)
    step = HOUR // parts
    fine = []
    for hour in whole:
        marks = [*range(hour.start_ms, hour.end_ms - step + 1, step)][:parts]
        ends = [*marks[1:], hour.end_ms]
        fine += [Hour(lo, hi, *hour[2:]) for lo, hi in zip(marks, ends, strict=True)]
    assert made(jobs, fine).whole.carbon_g == pytest.approx(made(jobs, whole).whole.carbon_g)


def test_hours_that_were_not_measured_are_told() -> None:
    jobs = [QueueJob("ml", START, HOUR, 100.0)]
    points = nights(jobs)
    half = [h._replace(is_known=i % 2 == 0) for i, h in enumerate(points)]
    assert made(jobs, half).hours_known_share == pytest.approx(0.5, abs=0.01)


def test_gaps_and_no_jobs_are_refused() -> None:
    jobs = [QueueJob("ml", START, HOUR, 100.0)]
    points = nights(jobs)
    with pytest.raises(InvalidInput, match="gaps"):
        made(jobs, points[:10] + points[11:])
    with pytest.raises(InvalidInput, match="no job"):
        span_ms([], 24)
