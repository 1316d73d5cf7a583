"""Grid intensity as arrays: piecewise constant, integrated exactly, gaps left as gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from carbon.domain.intensity import RatedPoint
from carbon.domain.units import MS_PER_HOUR
from carbon.errors import InvalidInput

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
#: One watt for one millisecond, in kWh.
KWH_PER_W_MS: Final = 1 / (1000 * MS_PER_HOUR)


@dataclass(frozen=True, slots=True, eq=False)
class IntensitySeries:
    """gCO2e/kWh over slots [start_ms, end_ms): ascending, without overlap, gaps allowed.

    All arrays have one shape (slots,). Raises InvalidInput("intensity_unordered") where
    slots overlap, stand in the wrong order or have no length.
    """

    start_ms: IntArray
    end_ms: IntArray
    g_per_kwh: FloatArray
    #: Whether a job may be moved because of a slot; None where it may because of all.
    may_shift: BoolArray | None = None
    #: Ascending marks at which the intensity may change, shape (marks,).
    marks_ms: IntArray = field(init=False, repr=False)
    _area: FloatArray = field(init=False, repr=False)
    _covered: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        start, end = self.start_ms, self.end_ms
        if (end <= start).any() or (start[1:] < end[:-1]).any():
            raise InvalidInput(
                "intensity_unordered", "sort the points by time and remove those that overlap"
            )
        marks = np.unique(np.concatenate((start, end)))
        object.__setattr__(self, "marks_ms", marks)
        width = (end - start).astype(np.float64)
        object.__setattr__(self, "_area", self._summed(marks, self.g_per_kwh * width))
        object.__setattr__(self, "_covered", self._summed(marks, width))

    def _summed(self, marks_ms: IntArray, amount: FloatArray) -> FloatArray:
        """Running total at each mark of an amount per slot."""
        at_end = np.zeros(len(marks_ms))
        at_end[np.searchsorted(marks_ms, self.end_ms)] = amount
        return np.cumsum(at_end)

    @classmethod
    def of(cls, points: Sequence[RatedPoint]) -> IntensitySeries:
        """From points as `domain.intensity.select` gives them."""
        return cls(
            np.array([p.start_ms for p in points], dtype=np.int64),
            np.array([p.end_ms for p in points], dtype=np.int64),
            np.array([p.g_per_kwh for p in points], dtype=np.float64),
            np.array([p.kind.may_shift for p in points], dtype=np.bool_),
        )

    @classmethod
    def hourly(cls, g_per_kwh: FloatArray, start_ms: int = 0) -> IntensitySeries:
        """One value an hour from `start_ms` on, without gaps."""
        marks = start_ms + np.arange(len(g_per_kwh) + 1, dtype=np.int64) * MS_PER_HOUR
        return cls(marks[:-1], marks[1:], np.asarray(g_per_kwh, dtype=np.float64))

    def shiftable(self) -> IntensitySeries:
        """The slots that may move a job; the others become gaps."""
        if self.may_shift is None or self.may_shift.all():
            return self
        kept = self.may_shift
        return IntensitySeries(self.start_ms[kept], self.end_ms[kept], self.g_per_kwh[kept])

    @property
    def is_empty(self) -> bool:
        return len(self.start_ms) == 0

    def area(self, at_ms: npt.ArrayLike) -> FloatArray:
        """The integral up to `at_ms`, g/kWh x ms; flat over gaps and outside. Any shape."""
        return self._at(at_ms, self._area)

    @property
    def rounding(self) -> float:
        """Differences of `area` nearer than this are the same but for rounding."""
        return 0.0 if self.is_empty else float(self._area[-1]) * 2**-50

    def covers(self, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike) -> BoolArray:
        """Whether all of [start, end) has an intensity. Any shape."""
        start, end = np.asarray(start_ms), np.asarray(end_ms)
        if self._has_gaps:
            covered = self._at(end, self._covered) - self._at(start, self._covered)
            return np.asarray(covered == end - start)
        return np.asarray((start >= self.marks_ms[0]) & (end <= self.marks_ms[-1]))

    @property
    def _has_gaps(self) -> bool:
        """An empty series is one gap."""
        return self.is_empty or self._covered[-1] < self.marks_ms[-1] - self.marks_ms[0]

    def _at(self, at_ms: npt.ArrayLike, total: FloatArray) -> FloatArray:
        moments = np.asarray(at_ms, dtype=np.float64)
        if self.is_empty:
            return np.zeros(moments.shape)
        return np.asarray(np.interp(moments, self.marks_ms, total))

    def grams(self, start_ms: npt.ArrayLike, end_ms: npt.ArrayLike, power_w: float) -> FloatArray:
        """gCO2e of a steady draw over [start, end); NaN where any of it has no intensity."""
        start, end = np.asarray(start_ms), np.asarray(end_ms)
        grams = (self.area(end) - self.area(start)) * power_w * KWH_PER_W_MS
        return np.asarray(np.where(self.covers(start, end), grams, np.nan))
