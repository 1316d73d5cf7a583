"""What the service's own policy knows of lengths while a history is replayed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from carbon.domain.units import MS_PER_HOUR
from carbon.planning.job_history import SHORT_BELOW_MS, JobHistory
from carbon.planning.length_history import LengthHistory, size_group
from carbon.planning.series import FloatArray, IntArray

#: The end of a job that has not ended.
UNFINISHED_MS: Final = np.iinfo(np.int64).max


class Lengths(StrEnum):
    LEARNED = "learned"  #: from finished jobs of the same class and size
    KNOWN = "known"  #: exactly, at arrival
    PREDICTED = "predicted"  #: learned, with a guess per job that is off by GUESS_LOG_SD


#: Error of the guesses of Lengths.PREDICTED: two of three are within a factor of 1.65.
GUESS_LOG_SD: Final = 0.5
_GUESS_SEED: Final = 20_220_101

_SHORT_CELL_MS: Final = MS_PER_HOUR // 12
_LONG_CELL_MS: Final = MS_PER_HOUR // 4
#: Long jobs are told apart by age up to here.
LONGEST_MS: Final = 72 * MS_PER_HOUR


@dataclass(slots=True, eq=False)
class LengthLearner:
    """Learns only from jobs that had ended at the moment of each `learn`."""

    jobs: JobHistory
    lengths: Lengths
    _classes: dict[bool, LengthHistory] = field(init=False)
    _group: IntArray = field(init=False)
    _guess_ms: IntArray = field(init=False)
    _running: IntArray = field(init=False)
    _arrived: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._classes = {
            True: LengthHistory(_SHORT_CELL_MS, SHORT_BELOW_MS // _SHORT_CELL_MS, 0),
            False: LengthHistory(
                _LONG_CELL_MS, LONGEST_MS // _LONG_CELL_MS, SHORT_BELOW_MS // _LONG_CELL_MS
            ),
        }
        self._group = size_group(self.jobs.cpus)
        noise = np.random.default_rng(_GUESS_SEED).normal(0, GUESS_LOG_SD, len(self.jobs))
        self._guess_ms = np.rint(self.jobs.length_ms * np.exp(noise)).astype(np.int64)
        self._running = np.empty(0, dtype=np.int64)

    def learn(self, now_ms: int, end_ms: IntArray) -> None:
        """`end_ms` (jobs,) as decided so far; those at or before `now_ms` are learned from."""
        arrived = int(np.searchsorted(self.jobs.arrival_ms, now_ms))
        self._running = np.append(self._running, np.arange(self._arrived, arrived))
        self._arrived = arrived
        ended = end_ms[self._running] <= now_ms
        finished, self._running = self._running[ended], self._running[~ended]
        short = self.jobs.is_short[finished]
        for is_short, members in ((True, finished[short]), (False, finished[~short])):
            history = self._classes[is_short]
            history.learn(self.jobs.length_ms[members], self._group[members])

    def cell_ms(self, is_short: bool) -> int:
        return self._classes[is_short].cell_ms

    def alive(self, jobs: IntArray, is_short: bool) -> FloatArray:
        """The chance of each of `jobs`, all of one class, to reach the start of each age cell."""
        history = self._classes[is_short]
        if self.lengths is Lengths.PREDICTED:
            return history.alive_given(self._group[jobs], self._guess_ms[jobs], GUESS_LOG_SD)
        return history.alive(self._group[jobs])
