"""Jobs that may pause: their parts, their states, and the guard that outweighs the plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from job_house import ADMIN, HOUR, NOW, OWNER, House, job
from msgspec import UNSET

from carbon.clock import to_rfc3339
from carbon.domain.jobs import JobState, PlacementReason
from carbon.domain.tenancy import WorkloadName
from carbon.errors import InvalidInput
from carbon.executors.executor import Handle, LookState
from carbon.services.jobs.attempt_pauses import latest_resume_ms, may_run, ran_ms
from carbon.services.jobs.pools import set_pool
from carbon.storage.engine import reading
from carbon.storage.job_queries import JobRow, PlacementRow, get_job
from carbon.wire.jobs import JobBatch, JobBody, PoolBody

#: Clean in its second and its fifth hour.
GRID = (500, 100, 500, 500, 100, 500, 500, 500)
MINUTE = 60_000


def pausing(**fields: object) -> JobBody:
    return job(**{"interruptible": True, "length_s": 7200.0, "deadline": "8h", **fields})


@pytest.fixture
def grid(house: House) -> House:
    house.forecast(*GRID)
    return house


def row(house: House, job_id: str) -> JobRow:
    with reading(house.context.engine) as connection:
        return get_job(connection, job_id)


def hours(*pairs: tuple[int, int]) -> list[list[str]]:
    return [[to_rfc3339(NOW + a * HOUR), to_rfc3339(NOW + b * HOUR)] for a, b in pairs]


def until(house: House, hour: float) -> None:
    """In steps of a quarter hour, each with its tick."""
    while house.clock.now_ms() < NOW + hour * HOUR:
        house.pass_time(900)


class TestPlanning:
    def test_it_takes_the_cleanest_parts_and_says_so(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        assert made.placement is not None
        assert made.placement.segments == hours((1, 2), (4, 5))
        assert (made.placement.start, made.placement.end) == (
            to_rfc3339(NOW + HOUR),
            to_rfc3339(NOW + 5 * HOUR),
        )
        # Two hours at 100 W and 100 g/kWh, against one of 500 and one of 100.
        assert made.placement.expected_g == pytest.approx(20)
        assert made.placement.start_now_g == pytest.approx(60)
        assert "in 2 parts" in made.why

    def test_a_job_that_may_not_pause_stays_in_one_piece(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing(interruptible=False))
        assert made.placement is not None
        assert made.placement.segments is UNSET

    @pytest.mark.parametrize(
        ("limits", "parts"),
        [
            ({"max_pauses": 0}, 0),
            ({"min_segment_s": 5400.0}, 0),
            ({"checkpoint_s": 15000.0}, 0),
            ({"max_pauses": 1, "min_segment_s": 1800.0, "checkpoint_s": 60.0}, 2),
        ],
    )
    def test_what_it_asks_of_its_pauses_is_kept(
        self, grid: House, limits: dict[str, float], parts: int
    ) -> None:
        made = grid.jobs.submit(OWNER, pausing(**limits))
        assert made.placement is not None
        found = [] if made.placement.segments is UNSET else made.placement.segments
        assert len(found) == parts

    def test_a_pause_costs_its_checkpoint(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing(checkpoint_s=360.0))
        assert made.placement is not None
        assert made.placement.expected_g == pytest.approx(20 + 1)

    def test_limits_of_pauses_without_pauses_are_refused(self, grid: House) -> None:
        for limits in ({"max_pauses": 1}, {"min_segment_s": 60.0}, {"checkpoint_s": 1.0}):
            with pytest.raises(InvalidInput) as caught:
                grid.jobs.submit(OWNER, job(**limits))
            assert caught.value.code == "not_interruptible"

    def test_alone_and_among_many_it_is_planned_alike(self, grid: House) -> None:
        set_pool(grid.context, ADMIN, PoolBody("wide", 100))
        alone = grid.jobs.submit(OWNER, pausing(pool="wide"))
        batch = grid.jobs.submit_batch(OWNER, JobBatch([pausing(pool="wide")] * 40))
        for made in batch.jobs:
            assert made.placement is not None
            assert alone.placement is not None
            assert made.placement.segments == alone.placement.segments
            assert made.placement.expected_g == pytest.approx(alone.placement.expected_g)

    def test_it_keeps_its_place_while_it_pauses(self, grid: House) -> None:
        set_pool(grid.context, ADMIN, PoolBody("one", 1))
        grid.jobs.submit(OWNER, pausing(pool="one"))
        other = grid.jobs.submit(OWNER, job(pool="one", deadline="8h"))
        assert other.placement is not None
        start = other.placement.start
        assert not to_rfc3339(NOW + HOUR) <= start < to_rfc3339(NOW + 5 * HOUR)

    def test_without_room_throughout_it_runs_in_one_piece(self, grid: House) -> None:
        set_pool(grid.context, ADMIN, PoolBody("one", 1))
        grid.jobs.submit(OWNER, job(pool="one", earliest="150m", deadline="212m"))
        made = grid.jobs.submit(OWNER, pausing(pool="one"))
        assert made.placement is not None
        assert made.placement.segments is UNSET

    def test_a_new_forecast_moves_its_parts(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        grid.tick()
        grid.clock.advance(60)
        grid.forecast(500, 500, 100, 500, 500, 500, 50, 500, published_ms=NOW + 1)
        grid.pass_time(10)
        moved = grid.jobs.get(OWNER, made.id)
        assert moved.placement is not None
        assert moved.placement.segments == hours((2, 3), (6, 7))


class TestRunning:
    def test_it_pauses_and_resumes_as_planned(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 1.25)
        assert grid.jobs.get(OWNER, made.id).state == "running"
        until(grid, 2.5)
        paused = grid.jobs.get(OWNER, made.id)
        assert paused.state == "paused"
        assert to_rfc3339(NOW + 4 * HOUR) in paused.why
        until(grid, 4.25)
        assert grid.jobs.get(OWNER, made.id).state == "running"
        attempt = f"{made.id}-1"
        assert grid.executor.turns == [
            (attempt, NOW + 2 * HOUR, LookState.PAUSED),
            (attempt, NOW + 4 * HOUR, LookState.RUNNING),
        ]
        assert row(grid, made.id).paused_ms == 2 * HOUR
        grid.executor.end(attempt)
        grid.tick()
        assert grid.jobs.get(OWNER, made.id).state == "succeeded"

    def test_what_it_ran_is_what_is_learned(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 5)
        grid.executor.end(f"{made.id}-1")
        grid.tick()
        again = grid.jobs.submit(OWNER, job(length_s=None, deadline="20h"))
        assert again.length_s == 7200.0

    def test_a_job_that_ends_while_it_is_paused_has_ended(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 3)
        grid.executor.end(f"{made.id}-1", 3)
        grid.tick()
        ended = grid.jobs.get(OWNER, made.id)
        assert (ended.state, ended.exit_code) == ("failed", 3)
        assert row(grid, made.id).paused_since_ms is None

    def test_a_paused_job_can_be_cancelled_and_not_started(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 3)
        assert grid.jobs.start(OWNER, made.id).state == "paused"
        grid.jobs.cancel(OWNER, made.id)
        grid.tick()
        assert grid.jobs.get(OWNER, made.id).state == "cancelled"
        assert grid.executor.running() == []

    def test_a_late_resumption_still_keeps_the_deadline(self, grid: House) -> None:
        """Nobody was there to resume it: it runs through once what is left has to begin."""
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 2.5)
        grid.clock.advance(4.2 * 3600)
        grid.tick()
        assert grid.executor.turns[-1][2] is LookState.RUNNING
        assert grid.jobs.get(OWNER, made.id).state == "running"

    def test_the_next_leader_resumes_what_the_last_one_paused(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 3)
        heir = grid.rival()
        grid.clock.advance(3600)
        heir.tick()
        assert grid.jobs.get(OWNER, made.id).state == "running"

    def test_somebody_elses_pause_is_undone_and_written_down(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 1.25)
        grid.executor.pause(Handle(f"{made.id}-1"))
        grid.tick()
        assert grid.executor.running() == [f"{made.id}-1"]
        assert grid.jobs.get(OWNER, made.id).state == "running"

    def test_a_job_that_is_longer_than_its_plan_runs_on(self, grid: House) -> None:
        made = grid.jobs.submit(OWNER, pausing())
        until(grid, 5.25)
        assert grid.jobs.get(OWNER, made.id).state == "running"


moments = st.integers(0, 8 * 60).map(lambda minutes: NOW + minutes * MINUTE)


@given(moments, st.integers(0, 120), st.integers(0, 300))
def test_at_every_moment_what_is_left_still_fits_or_it_runs(
    now_ms: int, ran_min: int, stood_min: int
) -> None:
    from carbon.storage.job_queries import PlacementRow

    plan = PlacementRow(
        NOW,
        NOW + 6 * HOUR,
        NOW + 6 * HOUR,
        "DE",
        None,
        None,
        PlacementReason.CLEAN_WINDOW,
        NOW,
        segments=((NOW, NOW + HOUR), (NOW + 5 * HOUR, NOW + 6 * HOUR)),
    )
    job_ = a_job(plan, now_ms - (ran_min + stood_min) * MINUTE, stood_min * MINUTE)
    assert ran_ms(job_, now_ms) == ran_min * MINUTE
    left_ms = max(2 * HOUR - ran_min * MINUTE, 0)
    if not may_run(job_, now_ms):
        assert now_ms + left_ms < job_.deadline_ms
        assert now_ms < latest_resume_ms(job_, now_ms)


def a_job(plan: PlacementRow, start_ms: int, paused_ms: int) -> JobRow:

    return JobRow(
        *("j", 1, 1, WorkloadName("t", "w"), 1, "p", "n", "local", "{}", JobState.RUNNING, ""),
        *(NOW, NOW + 8 * HOUR, 2 * HOUR, None, True, 0, 0, (), start_ms, None, None, "", NOW),
        plan,
        paused_ms=paused_ms,
    )
