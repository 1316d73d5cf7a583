"""The open period on disk, rewritten every second: what a kill -9 would otherwise take."""

from __future__ import annotations

from typing import cast

import msgspec

from carbon.collect.spool_db import SpoolDb
from carbon.wire.energy import DeviceInfo, EnergyInterval


class Journal(msgspec.Struct, frozen=True):
    boot_id: str
    #: Wall time of this writing: the open period's intervals reach up to here.
    at_ms: int
    #: The open period so far; empty right after it was closed.
    intervals: list[EnergyInterval] = []
    devices: list[DeviceInfo] = []
    #: Hardware counters at that time, mJ by device: what they rise by from there is not told yet.
    counters: dict[str, int] = {}

    def without_intervals(self) -> Journal:
        return msgspec.structs.replace(self, intervals=[])


class JournalFile:
    """The journal's row in the spool's database, so that a period's end replaces it by a batch
    in one transaction."""

    def __init__(self, db: SpoolDb) -> None:
        self._db = db

    def write(self, journal: Journal) -> None:
        with self._db.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO journal (id, body) VALUES (1, ?)",
                (msgspec.msgpack.encode(journal),),
            )

    def read(self) -> Journal | None:
        """None where there is none, or one of another version."""
        rows = self._db.rows("SELECT body FROM journal")
        if not rows:
            return None
        try:
            return msgspec.msgpack.decode(cast(bytes, rows[0][0]), type=Journal)
        except msgspec.DecodeError:
            return None
