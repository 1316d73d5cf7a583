"""From a due job to its end: on time, in order, and once, whatever breaks on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from job_house import ADMIN, HOUR, NOW, OWNER, FakeExecutor, House, fresh_engine, job
from msgspec.structs import replace

from carbon.clock import to_rfc3339
from carbon.domain.intensity import PointKind
from carbon.errors import Conflicting
from carbon.executors.executor import ExecutorAway
from carbon.services.jobs import attempt_moves, dispatch
from carbon.services.jobs.pools import set_pool
from carbon.storage.engine import writing
from carbon.storage.job_queries import get_job, place
from carbon.wire.jobs import PoolBody

FINAL = {"succeeded", "failed", "cancelled"}


def state_of(house: House, job_id: str) -> str:
    return house.jobs.get(OWNER, job_id).state


class TestOnTime:
    def test_a_job_waits_for_its_window_and_starts_in_it(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        assert made.placement is not None
        assert made.placement.start == to_rfc3339(NOW + 2 * HOUR)
        house.tick()
        house.pass_time(7199)
        assert state_of(house, made.id) == "waiting"
        house.pass_time(1)
        assert house.executor.running() == [f"{made.id}-1"]
        house.tick()
        running = house.jobs.get(OWNER, made.id)
        assert (running.state, running.start) == ("running", to_rfc3339(NOW + 2 * HOUR))

    def test_it_ends_as_its_command_ends(self, house: House) -> None:
        good = house.jobs.submit(OWNER, job(name="good"))
        house.tick(2)
        house.executor.end(f"{good.id}-1")
        bad = house.jobs.submit(OWNER, job(name="bad"))
        house.tick(3)
        house.executor.end(f"{bad.id}-1", 3)
        house.tick()
        assert state_of(house, good.id) == "succeeded"
        failed = house.jobs.get(OWNER, bad.id)
        assert (failed.state, failed.exit_code) == ("failed", 3)

    def test_without_a_forecast_it_starts_at_once(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.tick()
        assert made.reason == "no_forecast"
        assert house.executor.begun == [f"{made.id}-1"]

    def test_a_yearly_figure_never_makes_a_job_wait(self, house: House) -> None:
        house.forecast(400, 300, 1, 1, kind=PointKind.YEARLY)
        assert house.jobs.submit(OWNER, job()).reason == "no_forecast"

    def test_the_guard_starts_a_job_whatever_its_placement_says(self, house: House) -> None:
        house.forecast(400, 300, 200, 100, 50, 40, 30, 20)
        made = house.jobs.submit(OWNER, job(deadline="8h"))
        assert made.latest_start == to_rfc3339(NOW + 7 * HOUR - 60_000)
        _misplace(house, made.id, NOW + 100 * HOUR)
        house.tick()
        house.pass_time(7 * 3600 - 61)
        assert state_of(house, made.id) == "waiting"
        house.pass_time(1)
        assert house.executor.begun == [f"{made.id}-1"]

    def test_after_an_outage_what_was_missed_starts_nearest_deadline_first(
        self, house: House
    ) -> None:
        house.executor.default_capacity = 9
        deadlines = {
            name: house.jobs.submit(OWNER, job(name=name, deadline=deadline)).id
            for name, deadline in (("late", "9h"), ("soon", "3h"), ("mid", "5h"))
        }
        house.clock.advance(3600)
        house.tick()
        assert house.executor.begun == [f"{deadlines[n]}-1" for n in ("soon", "mid", "late")]

    def test_a_clock_that_steps_back_starts_nothing_twice(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.tick(2)
        house.clock.step_wall_ms(-2 * HOUR)
        house.tick(3)
        assert house.executor.begun == [f"{made.id}-1"]

    def test_a_job_asked_to_start_goes_at_the_next_tick(self, house: House) -> None:
        house.forecast(400, 300, 100, 300, 400, 400)
        made = house.jobs.submit(OWNER, job())
        house.tick()
        asked = house.jobs.start(OWNER, made.id)
        assert asked.reason == "asked_to_start"
        house.tick()
        assert house.executor.begun == [f"{made.id}-1"]
        assert house.jobs.start(OWNER, made.id).state == "running"


class TestRoom:
    def test_a_pool_never_runs_more_than_it_holds(self, house: House) -> None:
        set_pool(house.context, ADMIN, PoolBody("gpus", 2))
        made = [house.jobs.submit(OWNER, job(name=f"j{i}", pool="gpus")).id for i in range(5)]
        for _ in made:
            house.tick(2)
            assert len(house.executor.running()) <= 2
            house.executor.end(house.executor.running()[0])
        house.tick(2)
        assert len(house.executor.begun) == 5

    def test_a_full_pool_does_not_hold_up_another(self, house: House) -> None:
        set_pool(house.context, ADMIN, PoolBody("gpus", 1))
        for i in range(3):
            house.jobs.submit(OWNER, job(name=f"j{i}", pool="gpus"))
        other = house.jobs.submit(OWNER, job(name="other"))
        house.tick()
        assert f"{other.id}-1" in house.executor.begun

    def test_jobs_of_one_pool_are_not_all_placed_in_one_window(self, house: House) -> None:
        house.forecast(400, 100, 200, 300, 400, 400)
        starts = [_start(house.jobs.submit(OWNER, job(name=f"j{i}"))) for i in range(4)]
        assert starts == [to_rfc3339(NOW + hour * HOUR) for hour in (1, 2, 3, 0)]

    def test_a_cancelled_job_holds_its_place_until_it_has_ended(self, house: House) -> None:
        first = house.jobs.submit(OWNER, job(name="first", deadline="5h"))
        house.jobs.submit(OWNER, job(name="second"))
        house.tick(2)
        house.jobs.cancel(OWNER, first.id)
        house.executor.away = ExecutorAway("executor_away", "engine down")
        house.tick()
        assert house.executor.begun == [f"{first.id}-1"]
        house.executor.away = None
        house.tick(2)
        assert len(house.executor.begun) == 2


class TestTrouble:
    def test_retries_run_it_again_and_then_it_has_failed(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job(retries=1))
        house.tick()
        house.executor.end(f"{made.id}-1", 1)
        house.tick(2)
        assert state_of(house, made.id) == "running"
        house.executor.end(f"{made.id}-2", 1)
        house.tick(2)
        assert state_of(house, made.id) == "failed"
        assert house.executor.begun == [f"{made.id}-1", f"{made.id}-2"]

    def test_an_engine_that_is_away_is_asked_again(self, house: House) -> None:
        house.executor.away = ExecutorAway("executor_away", "engine down")
        made = house.jobs.submit(OWNER, job())
        house.tick(3)
        result = house.jobs.result(OWNER, made.id)
        assert [(a.state, a.detail) for a in result.attempts] == [("handed_over", "engine down")]
        house.executor.away = None
        house.tick(2)
        assert state_of(house, made.id) == "running"

    def test_an_engine_that_stays_away_past_the_deadline_fails_the_job(self, house: House) -> None:
        house.executor.away = ExecutorAway("executor_away", "engine down")
        made = house.jobs.submit(OWNER, job(deadline="2h"))
        house.tick()
        house.pass_time(7201)
        ended = house.jobs.result(OWNER, made.id)
        assert (ended.state, ended.attempts[0].detail) == ("failed", "engine down")

    def test_lost_before_it_began_it_is_handed_over_anew(self, house: House) -> None:
        house.executor.begins_at_once = False
        made = house.jobs.submit(OWNER, job())
        house.tick()
        assert state_of(house, made.id) == "starting"
        house.executor.lose(f"{made.id}-1", None)
        house.executor.begins_at_once = True
        house.tick(2)
        assert state_of(house, made.id) == "running"
        assert house.executor.running() == [f"{made.id}-2"]

    def test_lost_after_it_began_it_is_not_run_again_unasked(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.tick(2)
        house.executor.lose(f"{made.id}-1", NOW)
        house.tick(2)
        ended = house.jobs.get(OWNER, made.id)
        assert (ended.state, ended.exit_code) == ("failed", None)
        assert house.executor.begun == [f"{made.id}-1"]

    @pytest.mark.parametrize("trouble", [ExecutorAway("executor_away", "not this"), OSError("no")])
    def test_one_jobs_trouble_does_not_stop_the_others(
        self, house: House, monkeypatch: pytest.MonkeyPatch, trouble: Exception
    ) -> None:
        house.executor.default_capacity = 9
        first = house.jobs.submit(OWNER, job(name="first"))
        second = house.jobs.submit(OWNER, job(name="second"))
        start = house.executor.start

        def start_but_first(attempt: Any) -> str:
            if attempt.attempt_id == f"{first.id}-1":
                raise trouble
            return start(attempt)

        monkeypatch.setattr(house.executor, "start", start_but_first)
        house.tick()
        assert house.executor.begun == [f"{second.id}-1"]

    def test_a_cancelled_job_is_ended_and_stays_cancelled(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.tick(2)
        house.jobs.cancel(OWNER, made.id)
        house.tick(2)
        assert house.executor.running() == []
        assert state_of(house, made.id) == "cancelled"
        assert house.attempt_states() == {f"{made.id}-1": "ended"}
        assert house.jobs.cancel(OWNER, made.id).state == "cancelled"

    def test_a_job_that_has_ended_cannot_be_cancelled(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job())
        house.tick()
        house.executor.end(f"{made.id}-1")
        house.tick()
        with pytest.raises(Conflicting):
            house.jobs.cancel(OWNER, made.id)

    def test_the_job_is_told_whose_energy_it_draws(self, house: House) -> None:
        made = house.jobs.submit(OWNER, job(env={"A": "1"}, workload="bert"))
        house.tick()
        attempt_id = f"{made.id}-1"
        assert house.executor.env[attempt_id] == {
            "A": "1",
            "CARBON_RUN": attempt_id,
            "CARBON_WORKLOAD": "default/bert",
        }


class Killed(BaseException):
    """The process dies here: nothing after this point happens."""


#: Every place between two steps of dispatch at which a process may die.
STEPS = [
    "write_outbox",
    "move",
    "set_attempt",
    "get_job",
    "check_lease",
    "_end_job",
    "end_attempt",
]


class TestKilled:
    @pytest.mark.parametrize("step", STEPS)
    @pytest.mark.parametrize("nth", [1, 2, 3])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_at_any_step_the_next_leader_runs_the_job_once(
        self, house: House, monkeypatch: pytest.MonkeyPatch, step: str, nth: int, when: str
    ) -> None:
        made = house.jobs.submit(OWNER, job())
        _kill_at(monkeypatch, step, nth, when)
        _run_until_killed(house)
        monkeypatch.undo()
        rival = house.rival()
        house.clock.advance(10)
        for _ in range(3):
            rival.tick()
        if house.executor.running():
            house.executor.end(f"{made.id}-1")
        rival.tick()
        assert house.executor.begun == [f"{made.id}-1"]
        assert state_of(house, made.id) == "succeeded"

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_killed_around_the_handing_over_the_job_runs_once(
        self, house: House, monkeypatch: pytest.MonkeyPatch, when: str
    ) -> None:
        made = house.jobs.submit(OWNER, job())
        start = FakeExecutor.start

        def dying(executor: FakeExecutor, attempt: Any) -> str:
            if when == "after":
                start(executor, attempt)
            raise Killed

        monkeypatch.setattr(FakeExecutor, "start", dying)
        with pytest.raises(Killed):
            house.tick()
        monkeypatch.undo()
        house.clock.advance(10)
        rival = house.rival()
        rival.tick()
        assert house.executor.begun == [f"{made.id}-1"]

    def test_a_leader_that_wakes_up_late_changes_nothing(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = house.jobs.submit(OWNER, job())
        rival = house.rival()
        start = FakeExecutor.start

        def overtaken(executor: FakeExecutor, attempt: Any) -> str:
            monkeypatch.undo()
            house.clock.advance(10)
            rival.tick()
            executor.end(attempt.attempt_id)
            rival.tick()
            return start(executor, attempt)

        monkeypatch.setattr(FakeExecutor, "start", overtaken)
        house.tick()
        house.tick()
        assert house.executor.begun == [f"{made.id}-1"]
        assert state_of(house, made.id) == "succeeded"

    def test_only_one_of_two_schedulers_acts(self, house: House) -> None:
        rival = house.rival()
        house.tick()
        made = house.jobs.submit(OWNER, job())
        rival.tick()
        assert house.executor.begun == []
        house.scheduler._leader.resign()
        rival.tick()
        assert house.executor.begun == [f"{made.id}-1"]


def _kill_at(monkeypatch: pytest.MonkeyPatch, step: str, nth: int, when: str) -> None:
    where = [module for module in (dispatch, attempt_moves) if hasattr(module, step)]
    original, calls = getattr(where[0], step), [0]

    def dying(*arguments: Any, **values: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth and when == "before":
            raise Killed
        answer = original(*arguments, **values)
        if calls[0] == nth:
            raise Killed
        return answer

    for module in where:
        monkeypatch.setattr(module, step, dying)


def _run_until_killed(house: House) -> None:
    """A whole life of a job, as far as the process lives."""
    try:
        house.tick(2)
        for attempt_id in house.executor.running():
            house.executor.end(attempt_id)
        house.tick(2)
    except Killed:
        pass


def _misplace(house: House, job_id: str, start_ms: int) -> None:
    with writing(house.context.engine) as connection:
        placed = get_job(connection, job_id).placement
        assert placed is not None
        moved = replace(placed, start_ms=start_ms, end_ms=start_ms + HOUR)
        place(connection, [(job_id, moved)])


def _start(answer: Any) -> str:
    return str(answer.placement.start)


class AnyLife(RuleBasedStateMachine):
    """Whatever owners, engines and deaths do: no attempt runs twice, none alongside another of
    its job, and every job ends."""

    @initialize()
    def open(self) -> None:
        self.house = House.build(fresh_engine(), Path("/nonexistent"))
        self.house.executor.default_capacity = 2
        self.schedulers = [self.house.scheduler, self.house.rival()]
        self.ids: list[str] = []

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        self.house.executor.away = None
        for _ in range(99):
            if all(self.state(job_id) in FINAL for job_id in self.ids):
                break
            self.house.clock.advance(3600)
            for scheduler in self.schedulers:
                scheduler.tick()
            for attempt_id in self.house.executor.running():
                self.house.executor.end(attempt_id)
        assert {self.state(job_id) for job_id in self.ids} <= FINAL

    def state(self, job_id: str) -> str:
        return state_of(self.house, job_id)

    @rule(retries=st.integers(0, 2), deadline=st.integers(2, 9))
    def submit(self, retries: int, deadline: int) -> None:
        body = job(name=f"j{len(self.ids)}", retries=retries, deadline=f"{deadline}h")
        self.ids.append(self.house.jobs.submit(OWNER, body).id)

    @rule(which=st.integers(0, 1), seconds=st.sampled_from([0, 1, 7, 600]))
    def tick(self, which: int, seconds: int) -> None:
        self.house.clock.advance(seconds)
        self.schedulers[which].tick()

    @rule(at=st.integers(0, 99), exit_code=st.sampled_from([0, 1]))
    @precondition(lambda self: self.house.executor.running())
    def end(self, at: int, exit_code: int) -> None:
        running = self.house.executor.running()
        self.house.executor.end(running[at % len(running)], exit_code)

    @rule(at=st.integers(0, 99), began=st.booleans())
    @precondition(lambda self: self.house.executor.running())
    def lose(self, at: int, began: bool) -> None:
        running = self.house.executor.running()
        attempt_id = running[at % len(running)]
        look = self.house.executor.attempts[attempt_id]
        self.house.executor.lose(attempt_id, look.start_ms if began else None)

    @rule(at=st.integers(0, 99))
    @precondition(lambda self: self.ids)
    def cancel(self, at: int) -> None:
        job_id = self.ids[at % len(self.ids)]
        if self.state(job_id) in ("waiting", "starting", "running"):
            self.house.jobs.cancel(OWNER, job_id)

    @rule(at=st.integers(0, 99))
    @precondition(lambda self: self.ids)
    def start_now(self, at: int) -> None:
        job_id = self.ids[at % len(self.ids)]
        if self.state(job_id) == "waiting":
            self.house.jobs.start(OWNER, job_id)

    @rule(away=st.booleans())
    def engine_goes_or_returns(self, away: bool) -> None:
        self.house.executor.away = ExecutorAway("executor_away", "down") if away else None

    @invariant()
    def nothing_runs_twice(self) -> None:
        if not hasattr(self, "house"):
            return
        begun = self.house.executor.begun
        assert len(begun) == len(set(begun))
        jobs = [attempt_id.rpartition("-")[0] for attempt_id in self.house.executor.running()]
        assert len(jobs) == len(set(jobs)) <= 2


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
