"""Replays of a pool: nothing from the future, nobody late in vain, the pool never overfull."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from carbon.clock import FakeClock
from carbon.errors import InvalidInput
from carbon.planning.foresight import PerfectForesight
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.pool_replay import carbon_pool, earliest_deadline_pool, oracle_pool
from carbon.planning.scene import Forecast
from carbon.planning.series import IntensitySeries
from carbon.planning.simulate import Policy, Simulation, simulate

HOUR_MS = 3_600_000
POOL_POLICIES = (Policy.AGNOSTIC, Policy.CARBON_INTERRUPTIBLE, Policy.ORACLE_INTERRUPTIBLE)


def random_jobs(seed: int, count: int = 60, days: int = 3) -> JobHistory:
    rng = np.random.default_rng(seed)
    return JobHistory.of(
        np.sort(rng.uniform(0, days * 86_400, count)),
        np.exp(rng.uniform(np.log(200), np.log(60_000), count)),
        rng.integers(1, 4, count),
    )


def mean_load(jobs: JobHistory) -> float:
    return float(jobs.length_ms @ jobs.cpus) / float(jobs.arrival_ms[-1])


def sunny(days: int = 20, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    hour = np.arange(24 * days)
    noon = np.maximum(0, np.cos((hour % 24 - 12) / 24 * 2 * np.pi))
    return 420 - 300 * noon + rng.uniform(0, 60, 24 * days)


def run(jobs: JobHistory, policy: Policy, load: float, **options: object) -> Simulation:
    capacity = load * mean_load(jobs)
    return simulate(jobs, sunny(), policy, FakeClock(), capacity_cpus=capacity, **options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("load", [1.5, 2.5])
def test_the_own_policy_saves_most_of_what_can_be_saved_and_makes_none_late(seed, load):
    jobs = random_jobs(seed)
    urgent = run(jobs, Policy.AGNOSTIC, load, lengths=Lengths.KNOWN)
    own = run(jobs, Policy.CARBON_INTERRUPTIBLE, load, lengths=Lengths.KNOWN)
    assert own.share_of_oracle is not None
    assert 0.4 < own.share_of_oracle <= 1 + 1e-9
    assert own.late_core_h <= urgent.late_core_h + 1e-9
    assert urgent.carbon_g == pytest.approx(urgent.agnostic_g)


def test_the_oracle_is_its_own_bound_and_no_job_of_it_is_late():
    outcome = run(random_jobs(1), Policy.ORACLE_INTERRUPTIBLE, 1.5)
    assert outcome.share_of_oracle == pytest.approx(1.0)
    assert outcome.late_jobs == 0


def test_where_capacity_never_binds_the_answers_are_those_without_it():
    jobs = random_jobs(2)
    with_room, without = (
        simulate(jobs, sunny(), Policy.ORACLE_INTERRUPTIBLE, FakeClock(), capacity_cpus=capacity)
        for capacity in (1e6, None)
    )
    assert with_room.carbon_g == pytest.approx(without.carbon_g)
    urgent = simulate(jobs, sunny(), Policy.AGNOSTIC, FakeClock(), capacity_cpus=1e6)
    unlimited = simulate(jobs, sunny(), Policy.AGNOSTIC, FakeClock())
    # Within an hour the pool counts work: at most one hour's worth is priced differently.
    assert urgent.carbon_g == pytest.approx(unlimited.carbon_g, rel=0.02)
    assert urgent.mean_delay_h == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("lengths", [Lengths.LEARNED, Lengths.PREDICTED])
@pytest.mark.parametrize("forecast", [Forecast.PERFECT, Forecast.OWN])
def test_with_lengths_unknown_all_still_end_and_most_in_time(lengths, forecast):
    outcome = run(
        random_jobs(3), Policy.CARBON_INTERRUPTIBLE, 2.5, lengths=lengths, forecast=forecast
    )
    assert outcome.carbon_g < outcome.agnostic_g
    assert outcome.late_jobs <= 0.05 * outcome.jobs


@pytest.mark.parametrize("policy", POOL_POLICIES)
def test_a_replay_gives_the_same_answer_again(policy):
    assert run(random_jobs(4, 40), policy, 1.5) == run(random_jobs(4, 40), policy, 1.5)


@pytest.mark.parametrize("policy", POOL_POLICIES)
def test_a_pool_that_is_too_small_ends_all_work_late(policy):
    outcome = run(random_jobs(5, 40, days=2), policy, 0.5, lengths=Lengths.KNOWN)
    assert outcome.late_jobs > 0
    assert np.isfinite([outcome.carbon_g, outcome.late_core_h, outcome.p95_delay_h]).all()


def test_a_job_wider_than_the_pool_runs_on_what_there_is():
    jobs = JobHistory.of([0], [3600], [10], short_wait_h=9)
    outcome = simulate(jobs, np.full(100, 200.0), Policy.AGNOSTIC, FakeClock(), capacity_cpus=2)
    assert outcome.carbon_g == pytest.approx(2.0)
    assert outcome.mean_delay_h == pytest.approx(4.0)
    assert outcome.late_jobs == 0


@pytest.mark.parametrize(("changed", "lengths"), [(10, Lengths.KNOWN), (30, Lengths.LEARNED)])
def test_a_job_changes_nothing_before_it_comes(changed, lengths):
    jobs = random_jobs(6, 45, days=2)
    wider = jobs.cpus.copy()
    wider[changed] *= 3
    other = dataclasses.replace(jobs, cpus=wider)
    actual = IntensitySeries.hourly(np.tile(sunny(), 3))
    runs = [carbon_pool(j, PerfectForesight(actual), actual, 12.0, lengths) for j in (jobs, other)]
    before = runs[0].end_ms < jobs.arrival_ms[changed] // HOUR_MS * HOUR_MS
    assert before.any()
    assert (runs[0].end_ms[before] == runs[1].end_ms[before]).all()
    assert runs[0].grams[before] == pytest.approx(runs[1].grams[before])


def test_all_work_is_run_once_whatever_the_order():
    jobs = random_jobs(7)
    actual = IntensitySeries.hourly(np.full(2000, 100.0))
    grams = jobs.length_ms / HOUR_MS * jobs.cpus / 1000 * 100
    for runs in (
        earliest_deadline_pool(jobs, actual, 9.0),
        oracle_pool(jobs, actual, 9.0),
        carbon_pool(jobs, PerfectForesight(actual), actual, 9.0, Lengths.KNOWN),
    ):
        assert runs.grams == pytest.approx(grams)
        assert (runs.end_ms >= jobs.arrival_ms).all()


@pytest.mark.parametrize(
    ("policy", "capacity", "code"),
    [
        (Policy.AGNOSTIC, 0.0, "capacity_not_positive"),
        (Policy.AGNOSTIC, float("nan"), "capacity_not_positive"),
        (Policy.LOWEST_WINDOW, 5.0, "policy_without_capacity"),
        (Policy.CARBON, 5.0, "policy_without_capacity"),
    ],
)
def test_what_cannot_be_replayed_in_a_pool_is_refused(policy, capacity, code):
    with pytest.raises(InvalidInput) as refused:
        simulate(random_jobs(8, 5), sunny(), policy, FakeClock(), capacity_cpus=capacity)
    assert refused.value.code == code
