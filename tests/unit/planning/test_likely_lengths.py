"""Starts of jobs whose length is one of several: exact, and no worse than any point forecast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.planning.likely_lengths import MOST_LENGTHS, cheapest_starts, representative
from carbon.planning.series import IntensitySeries
from carbon.planning.windows import best_windows

#: A slot is 10 ms long, so that every start that matters can be tried.
SLOT = 10
FIGURES = st.lists(st.integers(1, 9), min_size=4, max_size=10)
LENGTHS = st.lists(st.integers(1, 25), min_size=1, max_size=5).map(sorted)


def series(figures: list[int]) -> IntensitySeries:
    marks = np.arange(len(figures) + 1) * SLOT
    return IntensitySeries(marks[:-1], marks[1:], np.array(figures, dtype=float))


def expected(seen: IntensitySeries, start: int, lengths: list[int]) -> float:
    return float(np.mean([seen.area(start + n) - seen.area(start) for n in lengths]))


@given(FIGURES, LENGTHS, st.integers(0, 30), st.integers(0, 60))
def test_no_other_start_is_expected_to_emit_less(
    figures: list[int], lengths: list[int], earliest: int, slack: int
) -> None:
    seen = series(figures)
    latest = min(earliest + slack, len(figures) * SLOT - max(lengths))
    if latest < earliest:
        return
    start, area = cheapest_starts(seen, np.array([earliest]), np.array([latest]), lengths)
    every = [expected(seen, at, lengths) for at in range(earliest, latest + 1)]
    assert earliest <= start[0] <= latest
    assert area[0] == pytest.approx(min(every))
    assert area[0] == pytest.approx(expected(seen, int(start[0]), lengths))


@given(FIGURES, st.integers(1, 25), st.integers(0, 20), st.integers(0, 60))
def test_with_one_length_it_is_the_cleanest_window(
    figures: list[int], length: int, earliest: int, slack: int
) -> None:
    seen = series(figures)
    latest = min(earliest + slack, len(figures) * SLOT - length)
    if latest < earliest:
        return
    start, area = cheapest_starts(seen, np.array([earliest]), np.array([latest]), [length])
    best = best_windows(seen, [earliest], [latest + length], [length])
    assert area[0] == pytest.approx(best.mean_g_per_kwh[0] * length)
    assert start[0] == best.start_ms[0]


def test_a_long_tail_is_weighed_and_not_taken_for_certain() -> None:
    """Nine of ten end within the clean slot; by the longest alone the end would be chosen."""
    seen = series([5, 1, 9, 9, 4, 4, 4, 4])
    often_short = [SLOT] * 9 + [4 * SLOT]
    start, _ = cheapest_starts(seen, np.array([0]), np.array([4 * SLOT]), often_short)
    assert start[0] == SLOT
    start, _ = cheapest_starts(seen, np.array([0]), np.array([4 * SLOT]), [4 * SLOT])
    assert start[0] == 4 * SLOT


def test_delay_has_its_price() -> None:
    hour = 3_600_000
    seen = IntensitySeries.hourly(np.array([100.0, 96.0, 50.0]))
    ends = np.array([0]), np.array([2 * hour])
    assert cheapest_starts(seen, *ends, [hour])[0][0] == 2 * hour
    assert cheapest_starts(seen, *ends, [hour], 0.2)[0][0] == 2 * hour
    assert cheapest_starts(seen, *ends, [hour], 0.3)[0][0] == 0


def test_no_start_is_taken_whose_longest_run_is_not_known() -> None:
    seen = series([9, 9, 1])
    start, area = cheapest_starts(seen, np.array([0]), np.array([25]), [1, 20])
    assert (start[0], area[0] < np.inf) == (10, True)
    _, area = cheapest_starts(seen, np.array([0]), np.array([25]), [1, 50])
    assert area[0] == np.inf


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=300))
def test_a_few_lengths_stand_for_many(lengths: list[int]) -> None:
    few = representative(lengths)
    assert len(few) == min(len(lengths), MOST_LENGTHS)
    assert list(few) == sorted(few)
    assert few[-1] == max(lengths)
    assert set(few) <= set(lengths)
