"""What finished jobs of one class teach about how long the next one runs.

A length is never one number here but a chance to be still running at each age. With few jobs
seen, the hazard of a job of age t is taken as 1/t: it has as much ahead of it as behind it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from carbon.planning.series import FloatArray, IntArray

#: Weight of the 1/age rule, in jobs.
_PRIOR_JOBS: Final = 2.0
#: Weight of the class against a size group's own record, in jobs.
_CLASS_JOBS: Final = 50.0
#: Group g holds jobs of up to 2**g cpus; the last one all larger ones.
_SIZE_GROUPS: Final = 8


def size_group(cpus: FloatArray) -> IntArray:
    group = np.ceil(np.log2(np.maximum(cpus, 1.0))).astype(np.int64)
    return np.minimum(group, _SIZE_GROUPS - 1)


class LengthHistory:
    """Counts of finished jobs per age cell, in all and per group of sizes."""

    def __init__(self, cell_ms: int, cells: int, first_cell: int) -> None:
        """Ages are told apart in `cells` cells of `cell_ms`; none ends before `first_cell`,
        and one that outlives the last cell is taken to end in it."""
        self.cell_ms, self.cells, self._first_cell = cell_ms, cells, first_cell
        self._ended = np.zeros((_SIZE_GROUPS, cells))

    def learn(self, length_ms: IntArray, group: IntArray) -> None:
        """Adds finished jobs; both arrays have shape (jobs,)."""
        cell = np.minimum((length_ms - 1) // self.cell_ms, self.cells - 1)
        np.add.at(self._ended, (group, cell), 1)

    def alive(self, group: IntArray) -> FloatArray:
        """The chance to be running still at the start of each cell, shape (jobs, cells + 1)."""
        per_group = np.cumprod(1 - self._hazards(), axis=1)
        return np.insert(per_group, 0, 1.0, axis=1)[group]

    def alive_given(self, group: IntArray, guess_ms: IntArray, log_sd: float) -> FloatArray:
        """As `alive`, with a guess per job that is off by `log_sd` in natural logarithms.

        Bayes: chance by history x normal density of the guess's error in logarithms.
        """
        prior = -np.diff(self.alive(group), axis=1)
        middle_ms = (np.arange(self.cells) + 0.5) * self.cell_ms
        error = np.log(np.maximum(guess_ms, 1))[:, None] - np.log(middle_ms)
        nearness = -0.5 * (error / log_sd) ** 2
        nearness[:, : self._first_cell] = -np.inf
        # A floor on the prior: history alone must not make a guess impossible.
        chance = (prior + 1e-12) * np.exp(nearness - nearness.max(axis=1, keepdims=True))
        alive = np.cumsum(chance[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(np.append(alive, np.zeros((len(alive), 1)), axis=1) / alive[:, :1])

    def _hazards(self) -> FloatArray:
        """The chance to end in a cell for one that reached it, shape (groups, cells)."""
        by_age = 1 / np.arange(1, self.cells + 1)
        in_class = _rate(self._ended.sum(axis=0, keepdims=True), by_age, _PRIOR_JOBS)
        hazard = _rate(self._ended, in_class, _CLASS_JOBS)
        hazard[:, : self._first_cell] = 0
        hazard[:, -1] = 1
        return hazard


def _rate(ended: FloatArray, prior: FloatArray, prior_jobs: float) -> FloatArray:
    at_risk = np.cumsum(ended[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((ended + prior_jobs * prior) / (at_risk + prior_jobs))
