"""Roll-ups give way to batches, but not without end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.services.rollup.roll_up_lag import (
    GIVES_NO_WAY_S,
    GIVES_WAY_S,
    LONGEST_REST_S,
    REST,
    RollUpLag,
    rest_s,
)

seconds = st.floats(0, 10_000)


@given(seconds, seconds, seconds)
def test_a_rest_shrinks_as_the_lag_grows(worked_s: float, one_s: float, other_s: float) -> None:
    less, more = sorted([one_s, other_s])
    assert 0 <= rest_s(worked_s, more) <= rest_s(worked_s, less) <= LONGEST_REST_S
    assert rest_s(worked_s, GIVES_NO_WAY_S + more) == 0


def test_within_a_minute_it_rests_in_full_and_halfway_to_ten_half() -> None:
    assert rest_s(0.01, 0) == rest_s(0.01, GIVES_WAY_S) == 0.01 * REST
    assert rest_s(0.01, (GIVES_WAY_S + GIVES_NO_WAY_S) / 2) == 0.01 * REST / 2


def simulated_lag_s(batches_per_s: float, hours: int) -> float:
    """Of a roll-up that does 1 000 buckets in 0.1 s while others never cease to send."""
    now_s, left, oldest_s = 0.0, 0.0, 0.0
    while now_s < hours * 3600:
        took_s = 0.1 + rest_s(0.1, now_s - oldest_s)
        now_s += took_s
        left = max(0.0, left + took_s * batches_per_s - 1_000)
        oldest_s = now_s - left / batches_per_s
    return now_s - oldest_s


def test_under_full_load_that_never_ends_the_lag_stays_below_ten_minutes() -> None:
    assert simulated_lag_s(900, hours=1) < GIVES_WAY_S  # it keeps up beside its rests
    assert GIVES_WAY_S < simulated_lag_s(5_000, hours=2) < GIVES_NO_WAY_S
    assert simulated_lag_s(9_500, hours=2) < GIVES_NO_WAY_S


def test_the_lag_runs_from_the_last_turn_that_left_nothing() -> None:
    clock = FakeClock(1_000_000)
    lag = RollUpLag(clock)
    assert lag.seconds is None
    first = lag.began()
    clock.advance(5)
    assert lag.seconds == 5
    lag.began()  # a turn that leaves some, or fails
    clock.advance(5)
    assert lag.seconds == 10
    lag.caught_up(first)
    assert lag.seconds == 10  # what came during that turn may be left
    lag.caught_up(lag.began())
    assert lag.seconds == 0
    lag.given_up()
    assert lag.seconds is None
