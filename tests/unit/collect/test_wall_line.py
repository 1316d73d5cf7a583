"""Wall time of intervals: in order and without overlap, whatever is done to the clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.collect.wall import NS_PER_MS, WallLine

START_MS = 1_700_000_000_000

#: Seconds that pass, then ms by which somebody sets the clock: in sum by less than an hour.
steps = st.lists(
    st.tuples(st.floats(0.001, 60), st.integers(-170_000, 170_000) | st.just(0)), max_size=20
)


def advance(clock: FakeClock, seconds: float) -> None:
    clock.advance(round(seconds, 3))


@given(steps)
def test_time_never_runs_backwards_when_the_clock_is_set(
    given_steps: list[tuple[float, int]],
) -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    last_ms = line.at_ms(clock.monotonic_ns())
    for seconds, set_by_ms in given_steps:
        advance(clock, seconds)
        clock.step_wall_ms(set_by_ms)
        end_ms = line.at_ms(clock.monotonic_ns())
        line.pair(clock.monotonic_ns())
        start_ms = line.at_ms(clock.monotonic_ns())
        assert last_ms <= end_ms <= start_ms
        last_ms = start_ms


@given(steps, st.integers(0, 200_000))
def test_the_mark_that_is_looked_for_is_the_mark_that_is_read(
    given_steps: list[tuple[float, int]], ahead_ms: int
) -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    for seconds, set_by_ms in given_steps:
        advance(clock, seconds)
        clock.step_wall_ms(set_by_ms)
        line.pair(clock.monotonic_ns())
    wanted_ms = line.at_ms(clock.monotonic_ns()) + ahead_ms
    assert line.at_ms(line.ns_of(wanted_ms)) == wanted_ms
    if ahead_ms:
        assert line.at_ms(line.ns_of(wanted_ms) - 2 * NS_PER_MS) < wanted_ms


@given(steps)
def test_the_line_meets_the_wall_again(given_steps: list[tuple[float, int]]) -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    for seconds, set_by_ms in given_steps:
        advance(clock, seconds)
        clock.step_wall_ms(set_by_ms)
        line.pair(clock.monotonic_ns())
    for _ in range(3):
        clock.advance(3 * 3_600)
        line.pair(clock.monotonic_ns())
    assert line.at_ms(clock.monotonic_ns()) == clock.now_ms()


@given(st.integers(-200, 200))
def test_drift_leaves_no_hole_between_neighbours(drift_ms: int) -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    clock.advance(10)
    end_ms = line.at_ms(clock.monotonic_ns())
    clock.step_wall_ms(drift_ms)
    assert line.pair(clock.monotonic_ns()) == 0
    assert line.at_ms(clock.monotonic_ns()) == end_ms
    clock.advance(10)
    assert line.at_ms(clock.monotonic_ns()) == clock.now_ms()


def test_a_clock_set_forward_leaves_a_gap() -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    clock.advance(10)
    clock.step_wall_ms(60_000)
    at_ns = clock.monotonic_ns()
    assert line.at_ms(at_ns) == START_MS + 10_000
    assert line.pair(at_ns) == 60_000
    assert line.at_ms(at_ns) == START_MS + 70_000


def test_a_clock_set_back_is_waited_for_at_half_speed() -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    clock.step_wall_ms(-20_000)
    assert line.pair(clock.monotonic_ns()) == -20_000
    clock.advance(20)
    assert line.at_ms(clock.monotonic_ns()) == START_MS + 10_000
    clock.advance(20)
    assert line.at_ms(clock.monotonic_ns()) == START_MS + 20_000 == clock.now_ms()


def test_setting_the_clock_is_reported_once_and_waiting_for_it_is_not() -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    clock.step_wall_ms(-60_000)
    assert line.pair(clock.monotonic_ns()) == -60_000
    clock.advance(10)
    assert line.pair(clock.monotonic_ns()) == 0


def test_a_clock_that_was_days_ahead_is_not_waited_for() -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock)
    clock.step_wall_ms(-2 * 86_400_000)
    line.pair(clock.monotonic_ns())
    assert line.at_ms(clock.monotonic_ns()) == clock.now_ms()


def test_a_new_agent_stamps_nothing_before_what_its_predecessor_wrote() -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock, not_before_ms=START_MS + 5_000)
    assert line.at_ms(clock.monotonic_ns()) == START_MS + 5_000


def test_a_line_that_starts_late_begins_at_the_wall_and_not_where_the_last_ended() -> None:
    clock = FakeClock(START_MS)
    line = WallLine(clock, not_before_ms=START_MS - 86_400_000)
    assert line.at_ms(clock.monotonic_ns()) == START_MS
    assert WallLine(clock, not_before_ms=START_MS - 100).at_ms(clock.monotonic_ns()) == START_MS
