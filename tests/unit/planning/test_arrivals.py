"""What a pool expects to come is what came at that hour of the day before."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from carbon.planning.arrivals import Arrivals
from carbon.planning.job_history import JobHistory

HOUR_MS, DAY_MS = 3_600_000, 86_400_000


def every_day_at(hour: int, days: int, length_s: int = 7200, cpus: float = 3.0) -> JobHistory:
    arrival = np.arange(days) * 86_400 + hour * 3600 + 60
    return JobHistory.of(arrival, np.full(days, length_s), np.full(days, cpus))


def test_a_job_of_every_day_is_expected_at_its_hour_with_more_at_a_lower_chance():
    expected = Arrivals.of(every_day_at(5, 30)).expected(20 * DAY_MS, 100.0)
    hour = expected.earliest_ms // HOUR_MS
    assert set(hour - 20 * 24) == {5, 29}
    sure = expected.chance > 0.9
    assert expected.left_cpu_h[sure] == pytest.approx(6.0)
    assert expected.left_cpu_h[~sure] == pytest.approx(0.6 * 6.0)
    assert expected.latest_end_ms - expected.earliest_ms == pytest.approx(26 * HOUR_MS)


def test_what_has_not_come_yet_is_not_known():
    jobs = every_day_at(5, 30)
    later = dataclasses.replace(
        jobs, cpus=np.where(jobs.arrival_ms < 10 * DAY_MS, jobs.cpus, 900.0)
    )
    for now in (10 * DAY_MS, 10 * DAY_MS + 5 * HOUR_MS):
        one, other = (Arrivals.of(j).expected(now, 100.0) for j in (jobs, later))
        assert (one.left_cpu_h == other.left_cpu_h).all()


def test_without_a_past_nothing_is_expected():
    assert len(Arrivals.of(every_day_at(5, 9)).expected(0, 100.0)) == 0


def test_jobs_from_before_the_replay_are_learned_from():
    jobs = every_day_at(5, 30)
    before = dataclasses.replace(jobs, arrival_ms=jobs.arrival_ms - 30 * DAY_MS)
    expected = Arrivals.of(jobs, before).expected(0, 100.0)
    assert expected.left_cpu_h[expected.chance > 0.9] == pytest.approx(6.0)


def test_hours_of_the_day_not_yet_seen_are_taken_as_the_mean_of_the_others():
    expected = Arrivals.of(every_day_at(0, 1)).expected(3 * HOUR_MS, 1000.0)
    sure = expected.chance > 0.9
    in_day = (expected.earliest_ms < 3 * HOUR_MS + DAY_MS) & sure
    assert expected.left_cpu_h[in_day].sum() == pytest.approx(6.0 + 21 * 2.0)


def test_expected_work_leaves_a_tenth_of_the_pool_to_what_has_come():
    expected = Arrivals.of(every_day_at(5, 30, cpus=24)).expected(20 * DAY_MS, 1.0)
    assert expected.left_cpu_h.sum() == pytest.approx(0.9 * 48)


def test_what_comes_in_the_running_hour_may_run_after_it():
    now = 20 * DAY_MS + 5 * HOUR_MS
    expected = Arrivals.of(every_day_at(5, 30)).expected(now, 100.0)
    assert expected.earliest_ms.min() == now + HOUR_MS
