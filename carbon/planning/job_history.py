"""A history of jobs to replay: when they came, how long they ran, how long they might wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.domain.units import MS_PER_HOUR, MS_PER_S
from carbon.errors import InvalidInput
from carbon.planning.series import BoolArray, FloatArray, IntArray

#: Jobs below two hours are the short class (Hanafy et al., "Going Green for Less Green", 2024).
SHORT_BELOW_MS: Final = 2 * MS_PER_HOUR


@dataclass(frozen=True, slots=True, eq=False)
class JobHistory:
    """Jobs in order of arrival; every array has shape (jobs,). Each cpu draws one watt."""

    arrival_ms: IntArray
    length_ms: IntArray
    cpus: FloatArray
    #: A job starts at the latest this long after its arrival; if it may pause, this is the whole
    #: budget of its pauses.
    wait_ms: IntArray

    @classmethod
    def of(
        cls,
        arrival_s: npt.ArrayLike,
        length_s: npt.ArrayLike,
        cpus: npt.ArrayLike,
        short_wait_h: float = 6.0,
        long_wait_h: float = 24.0,
    ) -> JobHistory:
        """Raises InvalidInput, with the first bad row where there is one."""
        arrived, ran, width = (
            np.asarray(column, dtype=np.float64) for column in (arrival_s, length_s, cpus)
        )
        _check(arrived, ran, width, short_wait_h, long_wait_h)
        order = np.argsort(arrived, kind="stable")
        arrival = np.rint(arrived[order] * MS_PER_S).astype(np.int64)
        length = np.maximum(np.rint(ran[order] * MS_PER_S).astype(np.int64), 1)
        waits_h = np.where(length < SHORT_BELOW_MS, short_wait_h, long_wait_h)
        wait = np.rint(waits_h * MS_PER_HOUR).astype(np.int64)
        return cls(arrival, length, width[order], wait)

    def __len__(self) -> int:
        return len(self.arrival_ms)

    @property
    def is_short(self) -> BoolArray:
        """The class of each job. It is known at arrival, the length is not."""
        return self.length_ms < SHORT_BELOW_MS

    @property
    def latest_start_ms(self) -> IntArray:
        return self.arrival_ms + self.wait_ms

    @property
    def latest_end_ms(self) -> IntArray:
        return self.latest_start_ms + self.length_ms

    def only(self, jobs: IntArray) -> JobHistory:
        return JobHistory(
            self.arrival_ms[jobs], self.length_ms[jobs], self.cpus[jobs], self.wait_ms[jobs]
        )


def _check(
    arrival_s: FloatArray,
    length_s: FloatArray,
    cpus: FloatArray,
    short_wait_h: float,
    long_wait_h: float,
) -> None:
    if arrival_s.ndim != 1 or not arrival_s.shape == length_s.shape == cpus.shape:
        raise InvalidInput("columns_differ", "arrival, length and cpus must have equal lengths")
    if len(arrival_s) == 0:
        raise InvalidInput("no_jobs", "the job history has no row")
    if not (0 <= short_wait_h < np.inf and 0 <= long_wait_h < np.inf):
        raise InvalidInput("bad_wait", "a wait must be 0 h or more")
    _check_rows(np.isfinite(arrival_s) & (arrival_s >= 0), "an arrival must be 0 or later")
    _check_rows(np.isfinite(length_s) & (length_s > 0), "a length must be above 0")
    _check_rows(np.isfinite(cpus) & (cpus > 0), "cpus must be above 0")


def _check_rows(good: BoolArray, rule: str) -> None:
    if not good.all():
        row = int(np.argmin(good))
        raise InvalidInput("bad_job", f"row {row + 1} of the jobs: {rule}", row=row + 1)
