"""Spreading work over slots: the answer is proven by its own bound, and by trying everything."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.planning.transport import Cells, cheapest_fill, cheapest_flow, lower_bound


def problem(seed: int, jobs: int, slots: int) -> tuple[Cells, np.ndarray, np.ndarray]:
    """Every job may use every slot; a last slot without end takes what has no room."""
    rng = np.random.default_rng(seed)
    job, slot = np.divmod(np.arange(jobs * (slots + 1)), slots + 1)
    cost = np.append(rng.integers(1, 9, slots) * 10.0, 1000.0)[slot]
    work = rng.integers(1, 4, jobs).astype(float)
    most = np.where(slot == slots, work[job], rng.integers(0, 3, len(slot)))
    room = np.append(rng.integers(0, 4, slots).astype(float), np.inf)
    return Cells(job, slot, cost, most), work, room


def least_by_trying(cells: Cells, work: np.ndarray, room: np.ndarray) -> float:
    """Whole amounts suffice: the constraint matrix is totally unimodular."""
    best = np.inf
    for amounts in product(*(range(int(most) + 1) for most in cells.most)):
        amount = np.array(amounts, dtype=float)
        fits = (np.bincount(cells.slot, amount, minlength=len(room)) <= room).all()
        if fits and (np.bincount(cells.job, amount, minlength=len(work)) == work).all():
            best = min(best, float(amount @ cells.cost))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_no_spread_costs_less(seed):
    cells, work, room = problem(seed, jobs=2, slots=2)
    flow = cheapest_flow(cells, work, room)
    assert float(flow.amount @ cells.cost) == pytest.approx(least_by_trying(cells, work, room))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12))
def test_the_spread_is_allowed_and_its_cost_is_the_bound_of_its_prices(seed, jobs, slots):
    cells, work, room = problem(seed, jobs, slots)
    flow = cheapest_flow(cells, work, room)
    assert flow.is_optimal
    assert (flow.amount <= cells.most).all()
    assert np.bincount(cells.job, flow.amount) == pytest.approx(work)
    assert (np.bincount(cells.slot, flow.amount, minlength=len(room)) <= room + 1e-7).all()
    bound = lower_bound(cells, work, room, flow.price)
    assert float(flow.amount @ cells.cost) == pytest.approx(bound)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0, 500), min_size=5, max_size=5))
def test_any_prices_bound_the_cost_from_below(seed, prices):
    cells, work, room = problem(seed, jobs=4, slots=5)
    flow = cheapest_flow(cells, work, room)
    bound = lower_bound(cells, work, room, np.array([*prices, 0.0]))
    assert bound <= float(flow.amount @ cells.cost) + 1e-6


def test_a_slot_with_room_to_spare_has_no_price_and_a_full_one_what_it_would_save():
    cells = Cells(np.array([0, 0]), np.array([0, 1]), np.array([10.0, 40.0]), np.array([5.0, 5.0]))
    flow = cheapest_flow(cells, np.array([3.0]), np.array([1.0, 9.0]))
    assert flow.amount.tolist() == [1.0, 2.0]
    assert flow.price.tolist() == [30.0, 0.0]


def test_alone_a_job_takes_its_cheapest_cells_first():
    cells = Cells(
        np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.zeros(4), np.array([2.0, 2, 2, 2])
    )
    taken = cheapest_fill(cells, np.array([3.0, 1.0]), np.array([9.0, 1.0, 1.0, 9.0]))
    assert taken.tolist() == [1.0, 2.0, 1.0, 0.0]


def test_work_that_fits_nowhere_is_told_and_not_spread():
    cells = Cells(np.array([0]), np.array([0]), np.array([1.0]), np.array([5.0]))
    flow = cheapest_flow(cells, np.array([5.0]), np.array([1.0]))
    assert not flow.is_optimal
    assert flow.amount.tolist() == [0.0]


def test_the_solver_says_nothing_where_the_command_line_prints_json(capfd):
    cheapest_flow(*problem(1, 3, 3))
    assert capfd.readouterr() == ("", "")
