"""Who leads, and what a former leader can no longer do."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from job_house import House
from sqlalchemy import Engine

from carbon.storage.engine import reading, writing
from carbon.storage.leases import Lease, LeaseLost, check_lease, give_up, take

TTL = 1000
names = itertools.count()


#: Milliseconds that pass, who asks then, and whether to give up in place of taking.
STEPS = st.tuples(st.integers(0, 1500), st.sampled_from("abc"), st.booleans())


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(STEPS, max_size=20))
def test_at_any_moment_at_most_one_holds_a_lease_that_has_not_run_out(
    memory: Engine, steps: list[tuple[int, str, bool]]
) -> None:
    name = f"lease-{next(names)}"
    now_ms, held, epochs = 1, dict[str, Lease](), list[int]()
    for passed_ms, holder, resigns in steps:
        now_ms += passed_ms
        with writing(memory) as connection:
            if resigns and holder in held:
                give_up(connection, held.pop(holder))
                continue
            lease = take(connection, name, holder, now_ms, TTL)
        if lease is None:
            held.pop(holder, None)
        else:
            held[holder] = lease
            epochs.append(lease.epoch)
        assert sum(other.expires_ms > now_ms for other in held.values()) <= 1
    assert epochs == sorted(epochs)


#: By how far the wall clock steps, how long then passes, and who asks.
WALL = st.tuples(
    st.sampled_from([0, 0, -86_400_000, -40_000, -500, 500, 86_400_000]),
    st.integers(0, 1500),
    st.sampled_from("abc"),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(steps=[(0, 0, "a")], last_step_ms=-86_400_000)
@given(
    steps=st.lists(WALL, max_size=12),
    last_step_ms=st.sampled_from([0, -86_400_000, -40_000, -20_000, -500, 86_400_000]),
)
def test_however_the_clock_steps_a_lease_that_nobody_prolongs_is_soon_free(
    memory: Engine, steps: list[tuple[int, int, str]], last_step_ms: int
) -> None:
    """By then all who led may be dead; what they had written is fenced off."""
    name, now_ms, held = f"lease-{next(names)}", 10 * 86_400_000, None
    for step_ms, passed_ms, holder in steps:
        now_ms += step_ms + passed_ms
        with writing(memory) as connection:
            held = take(connection, name, holder, now_ms, TTL) or held
    now_ms += last_step_ms
    with writing(memory) as connection:
        successor = take(connection, name, "successor", now_ms, TTL)
        successor = take(connection, name, "successor", now_ms + TTL + 30_000, TTL) or successor
        assert successor is not None
        check_lease(connection, successor)
        if held is not None:
            assert successor.epoch > held.epoch
            with pytest.raises(LeaseLost):
                check_lease(connection, held)


def test_only_the_holder_of_the_latest_epoch_may_write(house: House) -> None:
    with writing(house.context.engine) as connection:
        old = take(connection, "x", "a", 0, TTL)
        assert old is not None
        new = take(connection, "x", "b", TTL, TTL)
        assert new is not None
        check_lease(connection, new)
        with pytest.raises(LeaseLost):
            check_lease(connection, old)


def test_a_lease_that_ran_out_and_was_taken_again_is_a_new_epoch(house: House) -> None:
    with writing(house.context.engine) as connection:
        old = take(connection, "x", "a", 0, TTL)
        new = take(connection, "x", "a", TTL + 1, TTL)
        assert old is not None
        assert new is not None
        assert new.epoch == old.epoch + 1
        with pytest.raises(LeaseLost):
            check_lease(connection, old)


def test_prolonging_keeps_the_epoch(house: House) -> None:
    with writing(house.context.engine) as connection:
        first = take(connection, "x", "a", 0, TTL)
        second = take(connection, "x", "a", TTL // 2, TTL)
        assert first is not None
        assert second is not None
        assert (second.epoch, second.expires_ms) == (first.epoch, TTL // 2 + TTL)


def test_giving_up_a_lost_lease_harms_nobody(house: House) -> None:
    with writing(house.context.engine) as connection:
        old = take(connection, "x", "a", 0, TTL)
        new = take(connection, "x", "b", TTL, TTL)
        assert old is not None
        assert new is not None
        give_up(connection, old)
        assert take(connection, "x", "a", TTL + 1, TTL) is None
    with reading(house.context.engine) as connection:
        check_lease(connection, new)


def test_an_idle_leader_writes_its_lease_seldom(house: House) -> None:
    leader = house.scheduler._leader
    first = leader.lease()
    house.clock.advance(1)
    assert leader.lease() is first
    house.clock.advance(1.5)
    assert leader.lease() is not first


def test_a_clock_set_back_does_not_make_a_lease_last_forever(house: House) -> None:
    leader = house.scheduler._leader
    leader.lease()
    house.clock.step_wall_ms(-3_600_000)
    lease = leader.lease()
    assert lease is not None
    assert lease.expires_ms - house.clock.now_ms() <= 6000
