"""Spreading work over slots of limited room at the least cost: the transportation problem.

    minimise  sum cost_i x_i   with  0 <= x_i <= most_i,
              for each job the x of its cells sum to its work,
              for each slot the x of its cells sum to at most its room

A cell is one job in one slot. Any prices on the slots give a lower bound by weak duality, which
is worked out here from HiGHS's prices and not taken from its word.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carbon.planning.series import FloatArray, IntArray

if TYPE_CHECKING:
    from highspy import HighsLp


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """All of shape (cells,); jobs and slots are counted from 0."""

    job: IntArray
    slot: IntArray
    cost: FloatArray
    most: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    #: Shape (cells,).
    amount: FloatArray
    #: What one more unit of room in each slot would save, shape (slots,); 0 where it is free.
    price: FloatArray
    is_optimal: bool


def cheapest_flow(cells: Cells, work: FloatArray, room: FloatArray) -> Flow:
    """`work` has shape (jobs,) and must fit into each job's cells, `room` has shape (slots,).

    Solved by HiGHS (Huangfu and Hall, 2018), dual simplex, on one thread. Where it finds no
    optimum the amounts are 0 and `is_optimal` says so.
    """
    # The public class greets on standard output as it is made, before it can be told to be
    # quiet; its base does not.
    from highspy._core import HighsModelStatus, _Highs

    solver = _Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    # Presolve costs more than it saves on this shape; Devex weights halve the time.
    solver.setOptionValue("presolve", "off")
    solver.setOptionValue("simplex_dual_edge_weight_strategy", 1)
    solver.passModel(_model(cells, work, room))
    solver.run()
    if solver.getModelStatus() != HighsModelStatus.kOptimal:
        return Flow(np.zeros(len(cells.job)), np.zeros(len(room)), False)
    solution = solver.getSolution()
    amount = np.clip(np.asarray(solution.col_value), 0, cells.most)
    price = np.maximum(-np.asarray(solution.row_dual)[len(work) :], 0)
    return Flow(amount, price, True)


def _model(cells: Cells, work: FloatArray, room: FloatArray) -> HighsLp:
    import highspy

    count = len(cells.job)
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = count, len(work) + len(room)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cells.cost, np.zeros(count), cells.most
    lp.row_lower_ = np.concatenate((work, np.full(len(room), -highspy.kHighsInf)))
    lp.row_upper_ = np.concatenate((work, room))
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = np.arange(0, 2 * count + 1, 2)
    lp.a_matrix_.index_ = np.stack((cells.job, len(work) + cells.slot), axis=1).ravel()
    lp.a_matrix_.value_ = np.ones(2 * count)
    return lp


def lower_bound(cells: Cells, work: FloatArray, room: FloatArray, price: FloatArray) -> float:
    """No flow costs less than this, whatever `price` (slots,) >= 0 is."""
    dearer = cells.cost + price[cells.slot]
    amount = cheapest_fill(cells, work, dearer)
    # Where a slot has no end of room its price is 0, and 0 x infinity is not asked.
    paid = np.multiply(room, price, out=np.zeros_like(price), where=price > 0)
    return float(np.sum(amount * dearer) - np.sum(paid))


def cheapest_fill(cells: Cells, work: FloatArray, cost: FloatArray) -> FloatArray:
    """What each job takes of its cells, cheapest first, as if it were alone; shape (cells,)."""
    order = np.lexsort((cost, cells.job))
    job, most = cells.job[order], cells.most[order]
    before = np.cumsum(most) - most
    first = np.searchsorted(job, job)
    taken = np.empty(len(order))
    taken[order] = np.clip(work[job] - (before - before[first]), 0, most)
    return taken
