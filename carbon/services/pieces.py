"""Intervals cut at 5-minute marks: what is stored of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from carbon.domain.energy import cut
from carbon.domain.units import BUCKET_MS
from carbon.services.sent_columns import SentColumns
from carbon.storage.dirty import packed
from carbon.storage.interval_columns import Ints


@dataclass(frozen=True, slots=True)
class Pieces:
    #: The columns of `energy_interval` (`storage.interval_columns`).
    columns: Ints
    #: Index of the interval that each row is of.
    owners: Ints
    #: The buckets that change, each once (`storage.dirty`).
    dirty: Ints


def cut_at_marks(
    sent: SentColumns, device_ids: Ints, meter_ids: Ints, subject_ids: Ints, methods: Ints
) -> Pieces:
    """Nearly all intervals lie in one bucket and are stored as they are; the others are cut in
    whole numbers of any size."""
    start_ms, end_ms, energy_mj = sent.start_ms, sent.end_ms, sent.energy_mj
    owners = np.arange(len(sent))
    crosses = np.flatnonzero((end_ms - 1) // BUCKET_MS > start_ms // BUCKET_MS)
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
        end_ms = np.concatenate((end_ms[whole], hi))[order]
        energy_mj = np.concatenate((energy_mj[whole], part_mj))[order]
        owners = np.concatenate((whole, owner))[order]
        of_owner = (device_ids, meter_ids, subject_ids, methods)
        device_ids, meter_ids, subject_ids, methods = (ids[owners] for ids in of_owner)
    columns = np.stack((end_ms, meter_ids, subject_ids, end_ms - start_ms, energy_mj, methods))
    return Pieces(columns, owners, packed(start_ms, device_ids))
