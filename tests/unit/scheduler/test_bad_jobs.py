"""What a job, its engine or the clock may do wrong, by name, as docs/scheduling.md lists it."""

from __future__ import annotations

import pytest
from job_house import ADMIN, HOUR, NOW, OWNER, House, job
from msgspec import ValidationError, convert

from carbon.clock import from_rfc3339
from carbon.errors import CarbonError
from carbon.executors.executor import AttemptSpec
from carbon.services.jobs.pools import set_pool
from carbon.wire.jobs import PoolBody

#: Civil times of Berlin that no clock shows (2026-03-29) and that it shows twice (2026-10-25).
SPRING, AUTUMN = "2027-03-28T02:30:00", "2026-10-25T02:30:00"


@pytest.mark.parametrize("civil", [SPRING, AUTUMN])
def test_a_civil_time_is_no_deadline_so_that_no_gap_can_be_meant(house: House, civil: str) -> None:
    with pytest.raises(CarbonError) as refused:
        house.jobs.submit(OWNER, job(deadline=civil))
    assert refused.value.code == "invalid_moment"
    told = f"'{civil}' has no UTC offset; write e.g. {civil}Z or a duration such as 6h"
    assert refused.value.detail == told


def test_a_day_without_a_time_is_answered_with_one_that_is_taken() -> None:
    with pytest.raises(ValueError, match="no UTC offset") as refused:
        from_rfc3339("2027-03-28")
    written = str(refused.value).rpartition("write e.g. ")[2]
    assert from_rfc3339(written) == from_rfc3339("2027-03-28T00:00:00Z")


@pytest.mark.parametrize(
    ("stated", "moment"),
    [
        (f"{SPRING}+01:00", "2027-03-28T01:30:00Z"),
        (f"{SPRING}+02:00", "2027-03-28T00:30:00Z"),
        (f"{AUTUMN}+02:00", "2026-10-25T00:30:00Z"),
        (f"{AUTUMN}+01:00", "2026-10-25T01:30:00Z"),
    ],
)
def test_with_its_offset_it_is_one_moment_whatever_the_clocks_do(
    house: House, stated: str, moment: str
) -> None:
    made = house.jobs.submit(OWNER, job(deadline=stated))
    assert from_rfc3339(made.deadline) == from_rfc3339(moment)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, 10**9])
def test_a_pool_that_holds_nothing_is_refused(capacity: float) -> None:
    with pytest.raises(ValidationError):
        convert({"name": "p", "capacity": capacity}, PoolBody)


def test_an_engine_that_took_it_and_whose_answer_was_lost_is_not_told_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = house.jobs.submit(OWNER, job())
    start, told = type(house.executor).start, list[str]()

    def lost(self: object, attempt: AttemptSpec) -> str:
        told.append(attempt.attempt_id)
        start(house.executor, attempt)
        raise ConnectionResetError("the answer was lost")

    monkeypatch.setattr(type(house.executor), "start", lost)
    house.tick(3)
    assert told == house.executor.begun == [f"{made.id}-1"]
    assert house.jobs.get(OWNER, made.id).state == "running"


def test_cancelled_while_it_is_handed_over_it_ends_and_is_not_run_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word arrives between the outbox and the engine."""
    made = house.jobs.submit(OWNER, job(retries=2))
    start = type(house.executor).start

    def cancelled_meanwhile(self: object, attempt: AttemptSpec) -> str:
        house.jobs.cancel(OWNER, made.id)
        return start(house.executor, attempt)

    monkeypatch.setattr(type(house.executor), "start", cancelled_meanwhile)
    house.tick(4)
    assert house.executor.begun == [f"{made.id}-1"]
    assert house.executor.running() == []
    assert house.jobs.get(OWNER, made.id).state == "cancelled"
    assert house.attempt_states() == {f"{made.id}-1": "ended"}


@pytest.mark.parametrize("step_h", [-48, -1, 1, 48])
def test_a_clock_that_steps_loses_nothing_and_starts_nothing_twice(
    house: House, step_h: int
) -> None:
    house.forecast(400, 300, 100, 300, 400, 400)
    made = house.jobs.submit(OWNER, job())
    house.tick()
    house.clock.step_wall_ms(step_h * HOUR)
    for _ in range(60):
        house.pass_time(3600)
    assert house.executor.begun == [f"{made.id}-1"]


@pytest.mark.parametrize("back_h", [0, 1, 48])
def test_a_clock_set_back_after_a_leader_s_death_does_not_let_it_lead_on(
    house: House, back_h: int
) -> None:
    """Its lease would outlast it by as much, and every guard with it."""
    house.tick()
    house.clock.advance(7)  # nobody prolonged it
    house.clock.step_wall_ms(-back_h * HOUR)
    made = house.jobs.submit(OWNER, job())
    rival = house.rival()
    for _ in range(3):
        rival.tick()
    assert house.executor.begun == [f"{made.id}-1"]


def test_a_job_that_never_ends_runs_on_holds_its_place_and_says_so(house: House) -> None:
    """Nobody's work is killed for being slow: that is its owner's to say."""
    set_pool(house.context, ADMIN, PoolBody("one", 1))
    endless = house.jobs.submit(OWNER, job(pool="one"))
    house.tick()
    after = house.jobs.submit(OWNER, job(name="after", pool="one", deadline="7h"))
    for _ in range(48):
        house.pass_time(3600)
    told = house.jobs.get(OWNER, endless.id)
    assert told.state == "running"
    assert told.deadline in told.why
    assert house.jobs.get(OWNER, after.id).state == "waiting"
    house.jobs.cancel(OWNER, endless.id)
    house.tick(3)
    assert house.executor.begun == [f"{endless.id}-1", f"{after.id}-1"]


def test_an_engine_that_is_down_is_tried_until_the_deadline_and_then_told(house: House) -> None:
    made = house.jobs.submit(OWNER, job())
    house.executor.away = ConnectionError("refused")
    for _ in range(6):
        house.pass_time(3600)
        assert house.jobs.get(OWNER, made.id).state == "starting"
    house.pass_time(3600)
    told = house.jobs.result(OWNER, made.id)
    assert (told.state, told.attempts[0].state) == ("failed", "lost")
    assert "refused" in told.attempts[0].detail
    assert house.clock.now_ms() > NOW + 6 * HOUR
