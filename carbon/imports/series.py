"""What every way of sending metrics comes down to: labelled samples in time."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: The bits of Prometheus' "this series has ended".
_STALE_BITS = 0x7FF0000000000002
NAME_LABEL = "__name__"


class Sample(NamedTuple):
    at_ms: int
    value: float


@dataclass(frozen=True, slots=True)
class Readings(Sequence[Sample]):
    """Samples as two columns: of a long history an object each would cost most of the time."""

    at_ms: Ints
    values: Floats

    def __len__(self) -> int:
        return int(self.at_ms.size)

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> Readings: ...
    def __getitem__(self, at: int | slice) -> Sample | Readings:
        if isinstance(at, slice):
            return Readings(self.at_ms[at], self.values[at])
        return Sample(int(self.at_ms[at]), float(self.values[at]))

    def __iter__(self) -> Iterator[Sample]:
        return map(Sample._make, zip(self.at_ms.tolist(), self.values.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of one set of labels, the metric's name as `__name__`, in order of time."""

    labels: dict[str, str]
    samples: Sequence[Sample]
    #: Since when a cumulative value counts (OTLP); None where nobody says.
    since_ms: int | None = None
    #: Each value is the rise since the start here at its place, not a running total (OTLP).
    delta_starts_ms: Sequence[int] | None = None

    @property
    def name(self) -> str:
        return self.labels.get(NAME_LABEL, "")


def is_stale(value: float) -> bool:
    """Whether this is the marker of a series that ended, and no reading at all."""
    return math.isnan(value) and struct.unpack("<Q", struct.pack("<d", value))[0] == _STALE_BITS
