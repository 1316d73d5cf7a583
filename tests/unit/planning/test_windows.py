"""The cleanest uninterrupted window equals the best of all that exist."""

from __future__ import annotations

import numpy as np
import pytest

from carbon.errors import InvalidInput
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import Window, best_window, best_windows


def random_series(rng: np.random.Generator, kind: str) -> IntensitySeries:
    """Up to 9 slots of up to 9 ms; few levels of intensity, so that ties are common."""
    count = int(rng.integers(1, 10))
    width = rng.integers(1, 10, 1 if kind == "even" else count).repeat(count)[:count]
    gap = rng.integers(0, 3, count) * rng.integers(0, 2, count) if kind == "gappy" else width * 0
    start = np.cumsum(width + gap) - width
    return IntensitySeries(start, start + width, rng.integers(1, 6, count) * 50.0)


def random_jobs(rng: np.random.Generator, jobs: int) -> tuple[np.ndarray, ...]:
    earliest = rng.integers(0, 60, jobs)
    length = rng.integers(1, 30, jobs)
    return earliest, earliest + length + rng.integers(0, 40, jobs), length


def brute_force(
    series: IntensitySeries, earliest: int, latest_end: int, length: int
) -> Window | None:
    """Every whole millisecond is tried: with whole widths and lengths an optimum is among them."""
    rate = np.full(200, np.nan)
    for start, end, value in zip(series.start_ms, series.end_ms, series.g_per_kwh, strict=True):
        rate[start:end] = value
    windows = np.lib.stride_tricks.sliding_window_view(rate, length)
    sums = windows[earliest : latest_end - length + 1].sum(axis=1)
    if np.isnan(sums).all():
        return None
    start = earliest + int(np.nanargmin(sums))
    return Window(start, start + length, float(np.nanmin(sums)) / length)


@pytest.mark.parametrize("kind", ["even", "uneven", "gappy"])
def test_equals_brute_force_on_ten_thousand_instances(kind):
    rng = np.random.default_rng(20_220_701 + len(kind))
    for _ in range(500):
        series = random_series(rng, kind)
        jobs = random_jobs(rng, 20)
        found = best_windows(series, *jobs)
        for index, job in enumerate(zip(*jobs, strict=True)):
            best = brute_force(series, *map(int, job))
            mean = float(found.mean_g_per_kwh[index])
            if best is None:
                assert np.isnan(mean)
                continue
            assert (int(found.start_ms[index]), int(found.end_ms[index])) == (
                best.start_ms,
                best.end_ms,
            )
            assert mean == pytest.approx(best.mean_g_per_kwh, rel=1e-12)


def test_one_job_is_answered_as_among_many():
    rng = np.random.default_rng(7)
    series = IntensitySeries.hourly(rng.uniform(20, 600, 100), 1_780_000_000_000)
    earliest = series.start_ms[0] + rng.integers(0, 40 * 3_600_000, 50)
    length = rng.integers(1, 20 * 3_600_000, 50)
    many = best_windows(series, earliest, earliest + length + 30 * 3_600_000, length)
    for index in range(50):
        one = best_window(
            series,
            int(earliest[index]),
            int(earliest[index] + length[index]) + 30 * 3_600_000,
            int(length[index]),
        )
        assert one.start_ms == many.start_ms[index]
        assert one.mean_g_per_kwh == many.mean_g_per_kwh[index]


def test_of_equal_windows_the_earliest_is_taken_despite_rounding():
    series = IntensitySeries.hourly(np.full(50, 0.1 + 0.2))
    found = best_windows(series, np.arange(1, 999), np.arange(1, 999) + 10**8, np.full(998, 77_777))
    assert (found.start_ms == np.arange(1, 999)).all()


def test_a_window_may_begin_between_marks_when_it_ends_on_one():
    series = IntensitySeries.hourly(np.array([300.0, 100.0, 300.0]))
    window = best_window(series, 0, 3 * 3_600_000, 5_400_000)
    assert window.start_ms in (1_800_000, 3_600_000)
    assert window.mean_g_per_kwh == pytest.approx((100 + 150) / 1.5)
    assert window.start_ms == 1_800_000


def test_a_job_that_fits_exactly_has_one_window():
    series = IntensitySeries.hourly(np.array([300.0, 100.0]))
    assert best_window(series, 0, 7_200_000, 7_200_000) == Window(0, 7_200_000, 200.0)


@pytest.mark.parametrize(
    ("latest_end_ms", "length_ms", "code"),
    [
        (3_600_000, 3_600_001, "length_exceeds_window"),
        (3_600_000, 0, "length_not_positive"),
        (9_000_000_000, 8_000_000, "window_not_rated"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_a_code(latest_end_ms, length_ms, code):
    series = IntensitySeries.hourly(np.array([300.0, 100.0]))
    with pytest.raises(InvalidInput) as refused:
        best_window(series, 0, latest_end_ms, length_ms)
    assert refused.value.code == code


def test_without_any_intensity_no_window_is_known():
    found = best_windows(IntensitySeries.of([]), [5], [50], [10])
    assert np.isnan(found.mean_g_per_kwh).all()
    assert found.start_ms.tolist() == [5]


def test_no_jobs_have_no_windows():
    series = IntensitySeries.hourly(np.array([300.0]))
    assert len(best_windows(series, [], [], []).start_ms) == 0
