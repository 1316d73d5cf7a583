"""Marks, changes worth a notice, and digits worth printing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.reports import Change, Mark, greatest, marks_of, shown
from carbon.domain.uncertainty import Interval


def test_a_report_is_marked_and_not_flattered() -> None:
    share = [{"component": "network", "share": 0.04}, {"component": "storage", "share": 0.02}]
    assert marks_of(0.4, 0.5, 3, 10.0, 100.0, share) == [
        Mark.COVERAGE_BELOW_FLOOR,
        Mark.NOT_MEASURED,
        Mark.UNITS_SET_ASIDE,
        Mark.EXCLUDED_SHARE,
    ]
    assert marks_of(None, 0.5, 0, 1.0, 1.0, []) == [Mark.COVERAGE_UNKNOWN]
    assert marks_of(0.5, 0.5, 0, 1.0, 1.0, [{"component": "x"}]) == []


@pytest.mark.parametrize(
    ("old", "new", "relative", "told"),
    [
        (100.0, 104.9, 0.049, False),
        (100.0, 106.0, 0.06, True),
        (100.0, 94.0, -0.06, True),
        (100.0, 100.0, 0.0, False),
        (None, 1.0, None, True),
        (1.0, None, None, True),
        (None, None, None, False),
        (0.0, 1.0, None, True),
    ],
)
def test_a_change_above_materiality_is_told(
    old: float | None, new: float | None, relative: float | None, told: bool
) -> None:
    change = Change(old, new)
    assert change.relative == (None if relative is None else pytest.approx(relative))
    assert change.exceeds(0.05) is told


def test_the_greatest_change_counts_and_what_vanishes_is_beyond_measure() -> None:
    assert greatest([Change(1.0, 1.1), Change(1.0, 0.8)]) == pytest.approx(0.2)
    assert greatest([Change(1.0, None)]) == math.inf
    assert greatest([Change(2.0, 2.0)]) == 0


@pytest.mark.parametrize(
    ("value", "half_width", "text"),
    [(123.456, 10.0, "123"), (123.456, 1.0, "123.5"), (123456.0, 23000.0, "123000")],
)
def test_printed_digits_follow_the_interval(value: float, half_width: float, text: str) -> None:
    assert shown(Interval(value, value - half_width, value + half_width))[0] == text


@given(
    st.floats(min_value=1e-6, max_value=1e9),
    st.floats(min_value=1e-4, max_value=0.9),
)
def test_rounding_stays_far_inside_of_the_interval(value: float, width: float) -> None:
    interval = Interval.within(value, width)
    assert abs(float(shown(interval)[0]) - value) <= value * width / 10
