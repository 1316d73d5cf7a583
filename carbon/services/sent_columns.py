"""The intervals of a batch as columns: what each says is judged and cut for all of them at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from carbon.storage.interval_columns import Ints
from carbon.wire.decode import Decoded
from carbon.wire.energy import EnergyBatch, EnergyInterval, Rejection

Word = TypeVar("Word", bound=Hashable)

#: (workload, run, subject) as sent.
WhoText = tuple[str | None, str | None, str | None]

_fields = attrgetter(
    "device", "method", "workload", "run", "subject", "start_ms", "end_ms", "energy_mj"
)


@dataclass(frozen=True, slots=True)
class SentColumns:
    """A batch names few devices, methods and subjects over and over: each stands once, and a
    column says which it is."""

    devices: Sequence[str]
    device: Ints
    methods: Sequence[str]
    method: Ints
    whos: Sequence[WhoText]
    who: Ints
    start_ms: Ints
    end_ms: Ints
    energy_mj: Ints
    #: Index of each interval among those sent.
    position: Ints

    @classmethod
    def of(cls, intervals: Sequence[EnergyInterval], positions: Sequence[int]) -> SentColumns:
        """Raises nothing: the wire has seen to the range of each number."""
        fields = zip(*map(_fields, intervals), strict=True) if intervals else iter([()] * 8)
        device, method, workload, run, subject, start_ms, end_ms, energy_mj = fields
        whos = list(zip(workload, run, subject, strict=True))
        return cls(
            *_once(device),
            *_once(method),
            *_once(whos),
            np.array(start_ms, dtype=np.int64),
            np.array(end_ms, dtype=np.int64),
            np.array(energy_mj, dtype=np.int64),
            np.array(positions, dtype=np.int64),
        )

    def __len__(self) -> int:
        return int(self.position.size)

    def kept(self, keep: NDArray[np.bool_]) -> SentColumns:
        """Those that a mask keeps."""
        if keep.all():
            return self
        return SentColumns(
            self.devices,
            self.device[keep],
            self.methods,
            self.method[keep],
            self.whos,
            self.who[keep],
            self.start_ms[keep],
            self.end_ms[keep],
            self.energy_mj[keep],
            self.position[keep],
        )


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch as it was read, of whatever content type."""

    #: Its intervals stand in the columns.
    batch: EnergyBatch
    columns: SentColumns
    #: What could not be read.
    rejected: list[Rejection]

    @classmethod
    def of(cls, decoded: Decoded) -> SentBatch:
        columns = SentColumns.of(decoded.items, decoded.positions)
        return cls(decoded.body, columns, decoded.rejected)


def _once(words: Sequence[Word]) -> tuple[list[Word], Ints]:
    """Each word once, and for each place which it is."""
    place = {word: at for at, word in enumerate(dict.fromkeys(words))}
    return list(place), np.fromiter(map(place.__getitem__, words), np.int64, len(words))
