"""The intervals of a batch as columns: what each says is judged and cut for all of them at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from carbon.storage.interval_columns import Ints
from carbon.wire.decode import Decoded
from carbon.wire.energy import EnergyBatch, EnergyInterval, Rejection

Word = TypeVar("Word", bound=Hashable)

#: (workload, run, subject) as sent.
WhoText = tuple[str | None, str | None, str | None]


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
        return cls(
            *_once([one.device for one in intervals]),
            *_once([one.method for one in intervals]),
            *distinct_whos(
                _once([one.workload for one in intervals]),
                _once([one.run for one in intervals]),
                _once([one.subject for one in intervals]),
            ),
            np.fromiter([one.start_ms for one in intervals], np.int64, len(intervals)),
            np.fromiter([one.end_ms for one in intervals], np.int64, len(intervals)),
            np.fromiter([one.energy_mj for one in intervals], np.int64, len(intervals)),
            _numbers(positions),
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


#: Of so few intervals no columns are made: to fill and judge them would cost more than all else
#: that is done with a small sending. (Imports are looked at once more, by columns.)
_FEW = 8


@dataclass(frozen=True, slots=True)
class SentRows:
    """The intervals of a small batch, one by one, with the index of each among those sent."""

    items: Sequence[EnergyInterval]
    positions: Sequence[int]

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class SentBatch:
    """A batch as it was read, of whatever content type."""

    #: Its intervals stand beside it.
    batch: EnergyBatch
    intervals: SentColumns | SentRows
    #: What could not be read.
    rejected: list[Rejection]

    @classmethod
    def of(cls, decoded: Decoded) -> SentBatch:
        body, items, positions = decoded.body, decoded.items, decoded.positions
        if len(items) <= _FEW and not body.is_import:
            return cls(body, SentRows(items, positions), decoded.rejected)
        # Of what waits to be written the columns alone are kept: a tenth of what was read.
        alone = structs.replace(body, intervals=[])
        return cls(alone, SentColumns.of(items, positions), decoded.rejected)


#: Senders send batches of a size of theirs again and again; of larger ones nothing is kept.
_FEW_TURNS = 10_000

#: Words that are each given once, and for each place which it is.
Words = tuple[Sequence[Word], Ints]


def _once(words: list[Word]) -> Words[Word]:
    """Readings come in rounds, of the same devices again and again; a column that says one thing
    is a round of one. That is told without a look at each word's place."""
    one_round = _round(words)
    if len(one_round) == 1:
        return one_round, np.zeros(len(words), dtype=np.int64)
    if one_round:
        return one_round, _turns(len(one_round), len(words))
    places: _Places[Word] = _Places()
    which = np.fromiter(map(places.__getitem__, words), dtype=np.int64, count=len(words))
    return list(places), which


def _turns(length: int, count: int) -> Ints:
    """0, 1 … length - 1, over and over, `count` numbers."""
    return _kept_turns(length, count) if count <= _FEW_TURNS else np.arange(count) % length


@lru_cache(64)
def _kept_turns(length: int, count: int) -> Ints:
    turns: Ints = np.arange(count) % length
    turns.flags.writeable = False
    return turns


def _round(words: list[Word]) -> list[Word]:
    """The distinct words that stand over and over in one order; none where they do not."""
    try:
        length = words.index(words[0], 1)
    except (IndexError, ValueError):
        return []
    first = words[:length]
    whole = (first * (len(words) // length + 1))[: len(words)]
    return first if whole == words and len(set(first)) == length else []


class _Places(dict[Word, int]):
    """The place of each word among the distinct ones, given as it is first asked for."""

    def __missing__(self, word: Word) -> int:
        self[word] = place = len(self)
        return place


def distinct_whos(
    workloads: Words[str | None], runs: Words[str | None], subjects: Words[str | None]
) -> Words[WhoText]:
    """Three columns of words as one."""
    (of_workload, w), (of_run, r), (of_subject, s) = workloads, runs, subjects
    if len(of_run) == len(of_subject) == 1:
        return [(workload, of_run[0], of_subject[0]) for workload in of_workload], w
    distinct, who = np.unique((w * len(of_run) + r) * len(of_subject) + s, return_inverse=True)
    places = (distinct // len(of_subject)).tolist()
    last = (distinct % len(of_subject)).tolist()
    whos = [
        (of_workload[at // len(of_run)], of_run[at % len(of_run)], of_subject[s_at])
        for at, s_at in zip(places, last, strict=True)
    ]
    return whos, who.astype(np.int64)


def _numbers(positions: Sequence[int]) -> Ints:
    if isinstance(positions, range):
        return np.arange(positions.start, positions.stop, positions.step)
    return np.array(positions, dtype=np.int64)
