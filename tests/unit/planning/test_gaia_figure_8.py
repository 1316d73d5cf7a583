"""GAIA's figure 8 (Hanafy et al., ASPLOS 2024): AU-SA 2022 from hour 7000, 1 000 PAI jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from carbon.clock import FakeClock
from carbon.planning.job_history import JobHistory
from carbon.planning.learning import Lengths
from carbon.planning.simulate import Policy, Simulation, simulate

Replay = Callable[..., Simulation]


@pytest.fixture(scope="module")
def replay(bench_data: Path, hourly_of: Callable[[str], np.ndarray]) -> Replay:
    rows = np.loadtxt(bench_data / "jobs" / "pai_1k.csv", delimiter=",", skiprows=1)
    jobs, grid = JobHistory.of(*rows.T, short_wait_h=6, long_wait_h=24), hourly_of("AU-SA")

    def of(policy: Policy, start_hour: int = 7000, **options: Lengths) -> Simulation:
        return simulate(jobs, grid, policy, FakeClock(), start_hour=start_hour, **options)

    return of


@pytest.mark.parametrize(
    ("policy", "published"),
    [
        (Policy.LOWEST_SLOT, 0.7800),
        (Policy.LOWEST_WINDOW, 0.6837),
        (Policy.CARBON_TIME, 0.7249),
        (Policy.ECOVISOR, 0.6391),
        (Policy.ORACLE, 0.6120),
        (Policy.ORACLE_INTERRUPTIBLE, 0.5462),
    ],
)
def test_published_figures_and_exact_bounds_are_reproduced(replay, policy, published):
    assert replay(policy).normalised == pytest.approx(published, abs=0.0005)


@pytest.mark.parametrize(
    ("policy", "at_most"), [(Policy.CARBON, 0.680), (Policy.CARBON_INTERRUPTIBLE, 0.590)]
)
def test_lengths_learned_from_a_cold_start_are_enough(replay, policy, at_most):
    outcome = replay(policy)
    assert outcome.normalised <= at_most
    assert outcome.late_jobs == 0


@pytest.mark.parametrize(
    ("policy", "bound"), [(Policy.CARBON, 0.6120), (Policy.CARBON_INTERRUPTIBLE, 0.5462)]
)
def test_lengths_known_reach_the_bounds(replay, policy, bound):
    assert replay(policy, lengths=Lengths.KNOWN).normalised == pytest.approx(bound, abs=0.003)


@pytest.mark.parametrize(
    ("policy", "at_most"), [(Policy.CARBON, 0.645), (Policy.CARBON_INTERRUPTIBLE, 0.580)]
)
def test_a_guess_per_job_saves_most_of_the_rest(replay, policy, at_most):
    assert replay(policy, lengths=Lengths.PREDICTED).normalised <= at_most


def test_seventeen_weeks_of_the_year_confirm_it(replay):
    weeks = [replay(Policy.CARBON, hour).normalised for hour in range(0, 8001, 500)]
    assert np.mean(weeks) <= 0.695


@pytest.mark.slow
def test_seventeen_weeks_of_the_year_confirm_it_with_pauses(replay):
    weeks = [replay(Policy.CARBON_INTERRUPTIBLE, hour).normalised for hour in range(0, 8001, 500)]
    assert np.mean(weeks) <= 0.628
