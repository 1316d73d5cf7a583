"""Replaying a job history: what holds for every policy on every history."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from carbon.clock import FakeClock
from carbon.errors import InvalidInput
from carbon.planning.foresight import PerfectForesight
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.own_policy import carbon, carbon_interruptible
from carbon.planning.published import class_means_ms
from carbon.planning.runs import Runs
from carbon.planning.scene import Forecast
from carbon.planning.series import IntensitySeries
from carbon.planning.simulate import Policy, Simulation, simulate

HOUR_MS = 3_600_000
ALL_FORECASTS = (Forecast.PERFECT, Forecast.OWN, "given")


def random_jobs(seed: int, count: int = 60) -> JobHistory:
    rng = np.random.default_rng(seed)
    return JobHistory.of(
        np.sort(rng.uniform(0, 5 * 86_400, count)),
        np.exp(rng.uniform(np.log(200), np.log(100_000), count)),
        rng.integers(1, 9, count),
    )


def sunny(days: int = 20, seed: int = 0) -> np.ndarray:
    """A solar grid: dirty at night, clean at noon, no two days alike."""
    rng = np.random.default_rng(seed)
    hour = np.arange(24 * days)
    noon = np.maximum(0, np.cos((hour % 24 - 12) / 24 * 2 * np.pi))
    return (
        420 - 300 * noon * np.repeat(rng.uniform(0.4, 1, days), 24) + rng.uniform(0, 20, 24 * days)
    )


def run(jobs: JobHistory, g_per_kwh: np.ndarray, policy: Policy, **options: object) -> Simulation:
    if options.get("forecast") == "given":
        options["forecast"] = g_per_kwh * np.random.default_rng(1).uniform(0.8, 1.2, len(g_per_kwh))
    return simulate(jobs, g_per_kwh, policy, FakeClock(), **options)


@pytest.mark.parametrize("policy", Policy)
def test_no_policy_beats_its_oracle_and_none_is_late(policy):
    for seed, forecast in enumerate(ALL_FORECASTS):
        outcome = run(random_jobs(seed), sunny(seed=seed), policy, forecast=forecast)
        assert outcome.carbon_g >= outcome.oracle_g * (1 - 1e-12)
        assert (outcome.late_jobs, outcome.late_core_h) == (0, 0.0)
        assert 0 <= outcome.mean_delay_h <= 24
        assert outcome.p95_delay_h <= 24 + 1e-9
        assert outcome.normalised == pytest.approx(outcome.carbon_g / outcome.agnostic_g)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("forecast", ALL_FORECASTS[:2])
def test_on_a_flat_grid_nothing_is_saved_and_nobody_waits_for_it(policy, forecast):
    outcome = run(random_jobs(1), np.full(500, 84.73), policy, forecast=forecast)
    assert outcome.normalised == pytest.approx(1.0)
    # Ecovisor pauses unless an hour lies below the 30th percentile, and none does.
    if policy is not Policy.ECOVISOR:
        assert outcome.mean_delay_h == pytest.approx(0.0)


@pytest.mark.parametrize("policy", Policy)
def test_a_unit_of_intensity_is_no_matter(policy):
    jobs, grid = random_jobs(2), sunny()
    one, double = run(jobs, grid, policy), run(jobs, grid * 2, policy)
    assert double.carbon_g == pytest.approx(one.carbon_g * 2)
    assert double.normalised == pytest.approx(one.normalised)


@pytest.mark.parametrize("policy", Policy)
def test_a_replay_gives_the_same_answer_again(policy):
    assert run(random_jobs(3), sunny(), policy) == run(random_jobs(3), sunny(), policy)


@pytest.mark.parametrize("lengths", Lengths)
def test_with_pauses_no_more_is_emitted_than_without(lengths):
    jobs, grid = random_jobs(4, 150), sunny()
    without = run(jobs, grid, Policy.CARBON, lengths=lengths).carbon_g
    assert run(jobs, grid, Policy.CARBON_INTERRUPTIBLE, lengths=lengths).carbon_g < without


@pytest.mark.parametrize(
    ("policy", "oracle"),
    [
        (Policy.CARBON, Policy.ORACLE),
        (Policy.CARBON_INTERRUPTIBLE, Policy.ORACLE_INTERRUPTIBLE),
    ],
)
def test_with_lengths_and_intensity_known_the_own_policy_is_the_oracle(policy, oracle):
    jobs, grid = random_jobs(5), sunny()
    own = run(jobs, grid, policy, lengths=Lengths.KNOWN)
    assert own.carbon_g == pytest.approx(run(jobs, grid, oracle).carbon_g)
    assert own.share_of_oracle == pytest.approx(1.0)


@pytest.mark.parametrize("policy", [Policy.CARBON, Policy.CARBON_INTERRUPTIBLE])
def test_lengths_known_save_more_than_guessed_and_guessed_more_than_learned(policy):
    jobs, grid = random_jobs(6, 300), sunny()
    saved = [run(jobs, grid, policy, lengths=lengths).carbon_g for lengths in Lengths]
    learned, known, predicted = saved
    assert known < predicted < learned


@pytest.mark.parametrize("policy", [carbon, carbon_interruptible])
@pytest.mark.parametrize("changed", [10, 25, 40])
def test_a_length_is_not_used_before_its_job_has_ended(policy, changed):
    jobs = random_jobs(7)
    longer = jobs.length_ms.copy()
    longer[changed] = 7_199_999 if jobs.is_short[changed] else longer[changed] * 2
    other = dataclasses.replace(jobs, length_ms=longer)
    actual = IntensitySeries.hourly(np.tile(sunny(), 3))
    runs = [policy(j, PerfectForesight(actual), actual, Lengths.LEARNED) for j in (jobs, other)]
    first_known = min(r.end_ms[changed] for r in runs)
    earlier = (jobs.arrival_ms < first_known // HOUR_MS * HOUR_MS) & (
        np.arange(len(jobs)) != changed
    )
    assert (runs[0].end_ms[earlier] == runs[1].end_ms[earlier]).all()
    assert (runs[0].grams[earlier] == runs[1].grams[earlier]).all()


def test_a_job_past_the_last_age_cell_ends_within_its_pauses():
    jobs = JobHistory.of([0, 0], [200 * 3600, 73 * 3600], [1, 1])
    for forecast in (Forecast.PERFECT, Forecast.OWN):
        outcome = run(jobs, sunny(), Policy.CARBON_INTERRUPTIBLE, forecast=forecast)
        assert outcome.late_jobs == 0


def test_ecovisor_runs_in_the_clean_third_of_the_day_and_on_once_its_wait_is_spent():
    grid = np.tile(np.repeat([400.0, 100.0], [12, 12]), 10)
    patient = JobHistory.of([0], [3 * 3600], [1], long_wait_h=24)
    hasty = JobHistory.of([0], [3 * 3600], [1], long_wait_h=2)
    # 100 is itself the 30th percentile and nothing lies below it: the wait is spent either way.
    assert run(patient, grid, Policy.ECOVISOR).mean_delay_h == pytest.approx(24)
    assert run(hasty, grid, Policy.ECOVISOR).mean_delay_h == pytest.approx(2)
    cleaner = grid.copy()
    cleaner[12:16] = 50.0
    assert run(patient, cleaner, Policy.ECOVISOR).mean_delay_h == pytest.approx(12)


def test_lowest_slot_looks_at_the_first_hour_and_lowest_window_at_the_whole_run():
    grid = np.full(200, 400.0)
    grid[3], grid[6:10] = 90.0, 100.0
    jobs = JobHistory.of([0], [4 * 3600], [1])
    assert run(jobs, grid, Policy.LOWEST_SLOT).mean_delay_h == pytest.approx(3)
    assert run(jobs, grid, Policy.LOWEST_WINDOW).mean_delay_h == pytest.approx(6)


def test_carbon_time_takes_a_smaller_saving_that_comes_much_sooner():
    grid = np.full(200, 400.0)
    grid[2], grid[20] = 150.0, 100.0
    jobs = JobHistory.of([0], [7200], [1])
    assert run(jobs, grid, Policy.LOWEST_WINDOW).mean_delay_h == pytest.approx(19)
    assert run(jobs, grid, Policy.CARBON_TIME).mean_delay_h == pytest.approx(1)


def test_published_policies_know_the_mean_length_of_the_class():
    jobs = JobHistory.of([0, 0, 0, 0], [600, 1200, 7200, 21_600], [1, 1, 1, 1])
    assert class_means_ms(jobs).tolist() == [900_000.0, 900_000.0, 14_400_000.0, 14_400_000.0]


def test_one_watt_per_cpu_is_priced_by_the_hour():
    jobs = JobHistory.of([1800], [3600], [10])
    outcome = run(jobs, np.array([100.0, 300.0] * 50), Policy.AGNOSTIC)
    assert outcome.carbon_g == pytest.approx(10 / 1000 * 200.0)
    assert outcome.jobs == 1


def test_the_replay_begins_at_the_row_asked_for_and_wraps_at_the_end():
    jobs = JobHistory.of([0], [7200], [1000])
    grid = np.arange(1.0, 101.0)
    assert run(jobs, grid, Policy.AGNOSTIC, start_hour=30).carbon_g == pytest.approx(31 + 32)
    assert run(jobs, grid, Policy.AGNOSTIC, start_hour=99).carbon_g == pytest.approx(100 + 1)


def test_the_share_of_the_oracle_is_null_where_there_is_nothing_to_save():
    jobs = JobHistory.of([0], [3600], [1], short_wait_h=0)
    assert run(jobs, sunny(), Policy.CARBON).share_of_oracle is None


def test_time_is_taken_from_the_given_clock():
    assert run(random_jobs(8), sunny(), Policy.CARBON).seconds == 0.0


def test_late_work_is_what_ran_after_the_latest_end():
    jobs = JobHistory.of([0, 0], [3600, 3600], [1, 1], short_wait_h=1)
    runs = Runs(np.zeros(2), np.array([2 * HOUR_MS, 2 * HOUR_MS + 600_000]))
    assert runs.late_ms(jobs).tolist() == [0, 600_000]
    assert runs.delay_ms(jobs).tolist() == [HOUR_MS, HOUR_MS + 600_000]


@pytest.mark.parametrize(
    ("grid", "options", "code"),
    [
        (np.array([]), {}, "no_intensity"),
        (np.array([100.0, 0.0]), {}, "intensity_not_plausible"),
        (np.array([100.0, np.nan]), {}, "intensity_not_plausible"),
        (np.array([100.0, 2001.0]), {}, "intensity_not_plausible"),
        (np.full(50, 100.0), {"start_hour": 50}, "start_hour_outside"),
        (np.full(50, 100.0), {"start_hour": -1}, "start_hour_outside"),
        (np.full(50, 100.0), {"forecast": np.full(49, 1.0)}, "forecast_differs"),
        (np.full(50, 100.0), {"forecast": np.full(50, 0.0)}, "intensity_not_plausible"),
    ],
)
def test_a_record_that_cannot_be_meant_is_refused(grid, options, code):
    with pytest.raises(InvalidInput) as refused:
        simulate(random_jobs(9, 3), grid, Policy.AGNOSTIC, FakeClock(), **options)
    assert refused.value.code == code


def test_the_answer_has_the_keys_of_the_contract():
    outcome = dataclasses.asdict(run(random_jobs(10, 5), sunny(), Policy.AGNOSTIC))
    assert list(outcome) == [
        "policy",
        "jobs",
        "carbon_g",
        "agnostic_g",
        "normalised",
        "oracle_g",
        "share_of_oracle",
        "late_jobs",
        "late_core_h",
        "mean_delay_h",
        "p95_delay_h",
        "seconds",
    ]
