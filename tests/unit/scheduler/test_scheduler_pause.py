"""A paused scheduler holds nothing back and moves nothing."""

from __future__ import annotations

import pytest
from job_house import ADMIN, NOW, OWNER, House, job

from carbon.clock import to_rfc3339
from carbon.domain.jobs import PlacementReason
from carbon.domain.principal import Principal
from carbon.domain.tenancy import TEAM_SCOPES
from carbon.errors import Forbidden
from carbon.services.jobs.scheduler_pause import (
    pause_scheduler,
    resume_scheduler,
    scheduler_status,
)


def test_every_waiting_job_is_handed_its_start(house: House) -> None:
    house.forecast(300, 300, 50, 300, 300, 300)
    made = house.jobs.submit(OWNER, job(length_s=600))
    house.tick()
    assert house.executor.running() == []
    pause_scheduler(house.context, ADMIN, "the quarter closes")
    house.tick(2)
    assert house.executor.running() == [f"{made.id}-1"]
    told = house.jobs.get(OWNER, made.id)
    assert told.reason == PlacementReason.SCHEDULER_PAUSED


def test_a_job_that_comes_while_it_is_paused_starts_at_once(house: House) -> None:
    house.forecast(300, 300, 50, 300, 300, 300)
    pause_scheduler(house.context, ADMIN, "testing")
    made = house.jobs.submit(OWNER, job(length_s=600))
    assert made.placement is not None
    assert (made.placement.start, made.reason) == (to_rfc3339(NOW), "scheduler_paused")
    assert "paused" in made.why
    house.tick()
    assert len(house.executor.running()) == 1


def test_an_earliest_start_is_kept(house: House) -> None:
    house.forecast(300, 300, 50, 300, 300, 300)
    pause_scheduler(house.context, ADMIN, "testing")
    made = house.jobs.submit(OWNER, job(length_s=600, earliest="1h"))
    house.tick()
    assert house.executor.running() == []
    house.pass_time(3601)
    assert house.jobs.get(OWNER, made.id).state in ("starting", "running")


def test_resumed_it_plans_again_and_what_was_released_stays(house: House) -> None:
    house.forecast(300, 300, 50, 300, 300, 300)
    pause_scheduler(house.context, ADMIN, "testing")
    resume_scheduler(house.context, ADMIN)
    made = house.jobs.submit(OWNER, job(length_s=600))
    assert made.reason == PlacementReason.CLEAN_WINDOW
    house.tick()
    assert house.executor.running() == []


def test_twice_is_once_and_the_first_reason_stays(house: House) -> None:
    pause_scheduler(house.context, ADMIN, "first")
    told = pause_scheduler(house.context, ADMIN, "second")
    assert told.paused is not None
    assert told.paused.reason == "first"
    assert resume_scheduler(house.context, ADMIN).paused is None
    assert resume_scheduler(house.context, ADMIN).paused is None


def test_it_is_not_for_a_team_s_key(house: House) -> None:
    team = Principal("k", "team", "blue", TEAM_SCOPES)
    for change in (
        lambda: pause_scheduler(house.context, team, "why not"),
        lambda: resume_scheduler(house.context, team),
    ):
        with pytest.raises(Forbidden):
            change()
    assert scheduler_status(house.context).paused is None


def test_who_leads_is_told(house: House) -> None:
    assert scheduler_status(house.context).leader is None
    house.tick()
    told = scheduler_status(house.context)
    assert (told.leader, told.is_alive) == ("first", True)
    house.clock.advance(3600)
    assert not scheduler_status(house.context).is_alive
