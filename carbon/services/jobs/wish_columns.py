"""Wishes as arrays: what a plan asks of a hundred thousand of them it asks of all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.series import BoolArray, FloatArray, IntArray
from carbon.planning.shares import CleanRequests
from carbon.services.jobs.plan_inputs import Wish
from carbon.services.jobs.plans import ASSUMED_LENGTH_MS, ASSUMED_POWER_W, margins_ms

#: The length that nobody knows, and the place of a job that has none.
NOWHERE: Final = -1


@dataclass(frozen=True, slots=True, eq=False)
class WishColumns:
    """All of shape (wishes,)."""

    earliest_ms: IntArray
    deadline_ms: IntArray
    #: -1 where it is not known.
    length_ms: IntArray
    #: Assumed where it is not known.
    power_w: FloatArray
    #: Where each stands by the plan before; -1 where it stands nowhere.
    stands_from_ms: IntArray
    stands_until_ms: IntArray

    @classmethod
    def of(cls, wishes: Sequence[Wish]) -> WishColumns:
        stands = [wish.stands for wish in wishes]
        return cls(
            np.array([w.earliest_ms for w in wishes], dtype=np.int64),
            np.array([w.deadline_ms for w in wishes], dtype=np.int64),
            np.array([NOWHERE if w.length_ms is None else w.length_ms for w in wishes], np.int64),
            np.array([w.power_w or ASSUMED_POWER_W for w in wishes], dtype=np.float64),
            np.array([s.start_ms if s else NOWHERE for s in stands], dtype=np.int64),
            np.array([s.end_ms if s else NOWHERE for s in stands], dtype=np.int64),
        )

    def only(self, some: IntArray) -> WishColumns:
        return WishColumns(
            self.earliest_ms[some],
            self.deadline_ms[some],
            self.length_ms[some],
            self.power_w[some],
            self.stands_from_ms[some],
            self.stands_until_ms[some],
        )

    def can_wait(self, now_ms: int, until_ms: int) -> BoolArray:
        """Which are in time if begun at once or later, by an intensity that is known until then."""
        at_once = np.maximum(self.earliest_ms, now_ms)
        ends = at_once + self.length_ms
        in_time = ends <= self.deadline_ms - margins_ms(self.length_ms)
        return np.asarray((self.length_ms != NOWHERE) & in_time & (ends <= until_ms))


def clean_requests(wishes: Sequence[Wish]) -> CleanRequests:
    hours = [(wish.length_ms or ASSUMED_LENGTH_MS) / MS_PER_HOUR for wish in wishes]
    return CleanRequests.of(
        [wish.team for wish in wishes],
        np.array(hours, dtype=np.float64),
        np.array([wish.deadline_ms for wish in wishes], dtype=np.int64),
        np.array([wish.priority for wish in wishes], dtype=np.int64),
    )
