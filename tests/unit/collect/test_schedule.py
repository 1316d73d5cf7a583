"""Looks come at a fixed rate that neither drifts nor rushes after a pause."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.schedule import NS_PER_S, Schedule

rates = st.floats(1, 20)
moments = st.integers(0, 10**15)


@given(rates, moments, moments)
def test_the_next_look_is_within_one_step_and_on_the_grid(
    rate_hz: float, origin_ns: int, now_ns: int
) -> None:
    schedule = Schedule(rate_hz, origin_ns)
    next_ns = schedule.next_ns(now_ns)
    assert 0 < next_ns - now_ns <= schedule.step_ns
    assert (next_ns - origin_ns) % schedule.step_ns == 0


@given(rates, st.lists(st.integers(0, 50_000_000), max_size=50))
def test_late_looks_do_not_shift_the_ones_after(rate_hz: float, late_ns: list[int]) -> None:
    schedule = Schedule(rate_hz, 0)
    now_ns = 0
    for late in late_ns:
        now_ns = schedule.next_ns(now_ns) + min(late, schedule.step_ns - 1)
        assert schedule.next_ns(now_ns) == (now_ns // schedule.step_ns + 1) * schedule.step_ns


def test_missed_looks_are_skipped() -> None:
    schedule = Schedule(10, 0)
    assert schedule.next_ns(5 * NS_PER_S + 1) == 5 * NS_PER_S + NS_PER_S // 10


def test_after_realigning_a_look_falls_on_the_mark() -> None:
    schedule = Schedule(10, 0)
    schedule.realign(10 * NS_PER_S + 7)
    assert schedule.next_ns(10 * NS_PER_S) == 10 * NS_PER_S + 7
