"""From readings to energy: what counts, what waits, and what is told instead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.imports.mapping import Rule
from carbon.imports.tracks import Rise, Track, advance, whole

S = 1_000
RULE = Rule("e", "m", "energy", "J", "{d}", min_w=1.0, max_w=1000.0)


def rule(**others: Any) -> Rule:
    given_: dict[str, Any] = {f: getattr(RULE, f) for f in RULE.__struct_fields__}
    return Rule(**{**given_, **others})


def follow(readings: list[tuple[int, float]], by: Rule = RULE) -> tuple[list[Rise], list[str]]:
    """Readings by second."""
    told: list[str] = []
    (at_s, value), *others = readings
    track = Track(at_s * S, value)
    rises = []
    for at_s, value in others:
        rise = advance(track, by, at_s * S, value, lambda code, _: told.append(code))
        rises += [rise] if rise else []
    return rises, told


def test_a_rise_is_the_energy_between_two_readings() -> None:
    assert follow([(0, 100.0), (30, 3100.0)]) == ([Rise(0, 30 * S, 3_000_000, False)], [])


@given(st.lists(st.tuples(st.integers(1, 200), st.floats(1.5, 900.0)), min_size=1, max_size=50))
def test_rises_sum_to_the_counters_difference_to_the_mj(steps: list[tuple[int, float]]) -> None:
    at, value, readings = 0, 12.3456, [(0, 12.3456)]
    for step_s, watts in steps:
        at, value = at + step_s, value + watts * step_s
        readings.append((at, value))
    rises, told = follow(readings)
    assert told == []
    assert sum(rise.amount for rise in rises) == whole(RULE, value) - whole(RULE, 12.3456)


def test_a_value_that_stands_still_is_read_with_the_next_rise() -> None:
    rises, _ = follow([(0, 0.0), (15, 0.0), (30, 3000.0)])
    assert rises == [Rise(0, 30 * S, 3_000_000, False)]


def test_a_rise_over_a_long_silence_is_bridged() -> None:
    assert follow([(0, 0.0), (3600, 360_000.0)])[0] == [Rise(0, 3600 * S, 360_000_000, True)]


def test_a_counter_that_begins_anew_counts_from_zero_and_is_told() -> None:
    rises, told = follow([(0, 1e6), (30, 2000.0), (60, 5000.0)])
    assert [rise.amount for rise in rises] == [2_000_000, 3_000_000]
    assert rises[0].is_bridged
    assert told == ["counter_reset"]


def test_what_a_reset_cannot_have_counted_is_left_out() -> None:
    rises, told = follow([(0, 1e6), (30, 400_000.0), (60, 403_000.0)])
    assert [rise.amount for rise in rises] == [3_000_000]
    assert told == ["counter_reset"]


def test_a_counter_that_runs_backwards_counts_nothing_twice() -> None:
    rises, told = follow([(0, 10_000.0), (30, 9_990.0), (60, 12_000.0)])
    assert rises == [Rise(0, 60 * S, 2_000_000, False)]
    assert told == ["counter_backwards"]


def test_a_counter_that_stays_behind_is_followed_from_there_after_a_while() -> None:
    back = [(s, 9_000.0 + s) for s in range(30, 391, 30)]
    rises, told = follow([(0, 10_000.0), *back])
    assert set(told) == {"counter_backwards"}
    assert sum(rise.amount for rise in rises) < 200_000


def test_joules_for_millijoules_wait_until_the_power_can_be_again() -> None:
    by = rule(unit="mJ")
    rises, told = follow(
        [(0, 9e9), (30, 9.003e6), (60, 9.006e6), (90, 9.009e9), (120, 9.012e9)], by
    )
    assert [rise.amount for rise in rises] == [3_000_000]
    assert told == ["unit_changed", "implausible_power", "unit_changed"]


def test_a_power_that_cannot_be_is_told_and_not_counted() -> None:
    rises, told = follow([(0, 1.0), (30, 1e6), (60, 1e6 + 3000)])
    assert ([rise.amount for rise in rises], told) == ([3_000_000], ["implausible_power"])


@pytest.mark.parametrize("end", [65532.610987, 262143.328850])
def test_rapl_wraps_where_the_processors_counter_does(end: float) -> None:
    by = rule(reset="wrap", wraps_at=[65532.610987, 262143.328850])
    rises, told = follow([(0, end - 1000), (30, 2000.0)], by)
    assert ([rise.amount for rise in rises], told) == ([3_000_000], [])


def test_a_reset_that_nobody_can_tell_the_length_of_is_a_gap() -> None:
    assert follow([(0, 1e6), (30, 2000.0)], rule(reset="gap")) == ([], ["counter_reset"])


POWER = rule(kind="power", unit="W")


def test_power_is_the_trapezoid_under_its_readings() -> None:
    assert follow([(0, 100.0), (30, 300.0)], POWER)[0] == [Rise(0, 30 * S, 6_000_000, False)]


def test_over_a_silence_of_a_gauge_nothing_is_known() -> None:
    assert follow([(0, 100.0), (3600, 100.0)], POWER) == ([], [])


def test_power_outside_of_what_can_be_is_told() -> None:
    assert follow([(0, 100.0), (30, 5e6), (60, 100.0)], POWER)[1] == ["implausible_power"]


def test_counts_may_stand_still_and_begin_anew() -> None:
    by = Rule("t", "m", "units", "token", workload="a/b")
    rises, _ = follow([(0, 10.0), (30, 10.0), (60, 15.0), (90, 3.0)], by)
    assert [(rise.start_ms, rise.amount) for rise in rises] == [(30 * S, 5), (60 * S, 3)]
