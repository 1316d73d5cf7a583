"""Intervals cut at 5-minute marks: what is stored of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbon.domain.energy import cut
from carbon.domain.units import BUCKET_MS
from carbon.services.ingest.frontier import Frontier
from carbon.services.ingest.sent_columns import SentColumns
from carbon.storage.bulk import IntervalRow
from carbon.storage.dirty import distinct, pack_all
from carbon.storage.interval_columns import COLUMNS, END, Ints, columns_of
from carbon.storage.pending import Pending


@dataclass(frozen=True, slots=True)
class FewPieces:
    """Of few intervals, piece by piece: to make columns of them would cost more than all else."""

    rows: list[IntervalRow]
    #: Index of the interval that each row is of.
    owners: list[int]
    #: The buckets that change (`storage.dirty`).
    dirty: set[int]

    @property
    def columns(self) -> Ints:
        return columns_of(self.rows)

    @property
    def first_end_ms(self) -> int:
        return min(row[0] for row in self.rows)

    def follow(self, frontier: Frontier) -> bool:
        """Whether they go on behind what was read; they are read afterwards."""
        return frontier.advance_rows(self.rows)

    def mark(self, pending: Pending) -> None:
        pending.mark_few(self.dirty)

    def add_new(self, pending: Pending) -> None:
        pending.add_new_rows(self.rows)


@dataclass(frozen=True, slots=True)
class Pieces:
    """As `FewPieces`, of any number."""

    #: The columns of `energy_interval` (`storage.interval_columns`).
    columns: Ints
    #: Index of the interval that each row is of.
    owners: Ints
    #: The buckets that change, each once (`storage.dirty`).
    dirty: Ints

    @property
    def first_end_ms(self) -> int:
        return int(self.columns[END].min())

    def follow(self, frontier: Frontier) -> bool:
        return frontier.advance(self.columns)

    def mark(self, pending: Pending) -> None:
        pending.mark(self.dirty)

    def add_new(self, pending: Pending) -> None:
        pending.add_new(self.columns)


def cut_at_marks(
    sent: SentColumns, device_ids: Ints, meter_ids: Ints, subject_ids: Ints, methods: Ints
) -> Pieces:
    """Nearly all intervals lie in one bucket and are stored as they are; the others are cut in
    whole numbers of any size."""
    start_ms, end_ms, energy_mj = sent.start_ms, sent.end_ms, sent.energy_mj
    owners = np.arange(len(sent))
    bucket = start_ms // BUCKET_MS
    crosses = np.flatnonzero((end_ms - 1) // BUCKET_MS > bucket)
    if crosses.size:
        cut_up = [
            (at, *piece)
            for at in crosses.tolist()
            for piece in cut(int(start_ms[at]), int(end_ms[at]), int(energy_mj[at]))
        ]
        owner, lo, hi, part_mj = np.array(cut_up, dtype=np.int64).T
        whole = np.delete(owners, crosses)
        order = np.argsort(np.concatenate((whole, owner)), kind="stable")
        start_ms = np.concatenate((start_ms[whole], lo))[order]
        bucket = start_ms // BUCKET_MS
        end_ms = np.concatenate((end_ms[whole], hi))[order]
        energy_mj = np.concatenate((energy_mj[whole], part_mj))[order]
        owners = np.concatenate((whole, owner))[order]
        of_owner = (device_ids, meter_ids, subject_ids, methods)
        device_ids, meter_ids, subject_ids, methods = (ids[owners] for ids in of_owner)
    columns = np.empty((len(COLUMNS), len(owners)), dtype=np.int64)
    of_each = (end_ms, meter_ids, subject_ids, end_ms - start_ms, energy_mj, methods)
    for place, column in enumerate(of_each):
        columns[place] = column
    return Pieces(columns, owners, distinct(pack_all(bucket, device_ids)))
