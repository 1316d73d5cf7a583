"""An engine that is slow to answer holds up its own attempts alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event

import pytest
from job_house import OWNER, FakeExecutor, House, job

from carbon.executors.executor import AttemptSpec
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.jobs.jobs import Jobs
from carbon.services.jobs.lanes import Lanes
from carbon.storage.leases import LeaseLost


@dataclass
class SlowFake(FakeExecutor):
    """Takes as long to answer as a test wants."""

    name: str = "webhook"
    default_capacity: int = 100
    asked: Event = field(default_factory=Event)
    may_answer: Event = field(default_factory=Event)

    def start(self, attempt: AttemptSpec) -> str:
        self.asked.set()
        assert self.may_answer.wait(30)
        return super().start(attempt)


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.005)
    assert is_so()


def test_a_tick_does_not_wait_for_a_slow_engine(house: House) -> None:
    slow = SlowFake(house.clock)
    executors = {"webhook": slow, "local": house.executor}
    jobs, lanes = Jobs(house.context, executors), Lanes(patience_s=0.01)
    scheduler = Scheduler(house.context, executors, Leader(house.context, "one"), lanes)
    held_up = jobs.submit(OWNER, job(executor="webhook", length_s=None, deadline="1h"))
    scheduler.tick()
    assert slow.asked.wait(30)
    quick = jobs.submit(OWNER, job(length_s=None))
    scheduler.tick()
    scheduler.tick()
    assert jobs.get(OWNER, quick.id).state == "running"
    assert jobs.get(OWNER, held_up.id).state == "starting"
    slow.may_answer.set()
    until(lambda: jobs.get(OWNER, held_up.id).state == "running")
    scheduler.tick()
    assert slow.begun == [f"{held_up.id}-1"]
    lanes.close()


def test_work_of_one_engine_is_done_in_order_and_not_twice_at_once() -> None:
    lanes, done, gate = Lanes(patience_s=0.01), list[str](), Event()
    lanes.run("ray", "a", lambda: (gate.wait(30), done.append("a"))[1])
    for key in ("a", "b", "b"):
        lanes.run("ray", key, lambda key=key: done.append(key))  # type: ignore[misc]
    lanes.settle()
    assert done == []
    gate.set()
    until(lambda: done == ["a", "b"])
    lanes.run("ray", "a", lambda: done.append("again"))
    until(lambda: done == ["a", "b", "again"])
    lanes.close()


def test_what_is_at_hand_is_done_where_we_stand() -> None:
    lanes, done = Lanes(), list[str]()
    lanes.run("local", "a", lambda: done.append("a"))
    assert done == ["a"]


def test_a_lease_that_was_lost_is_told_to_the_tick() -> None:
    def lose() -> None:
        raise LeaseLost("lease_lost", "another leads")

    lanes = Lanes()
    lanes.run("ray", "a", lose)
    with pytest.raises(LeaseLost):
        lanes.settle()
    lanes.settle()
    lanes.close()


def test_trouble_of_one_piece_of_work_stops_no_other() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    lanes, done = Lanes(), list[str]()
    lanes.run("ray", "a", fail)
    lanes.run("ray", "b", lambda: done.append("b"))
    lanes.settle()
    assert done == ["b"]
    lanes.close()
