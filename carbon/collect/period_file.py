"""What the recorder writes: ended periods into the spool, the open one into the journal."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence

from msgspec import Struct

from carbon.collect.batches import Identity, batches
from carbon.collect.journal import Journal, JournalFile
from carbon.collect.recovery import left_over
from carbon.collect.runs import Runs
from carbon.collect.spool import Spool
from carbon.wire.energy import DeviceInfo, EnergyInterval, ReservationInfo

log = logging.getLogger(__name__)


class PeriodFile(Struct, frozen=True):
    identity: Identity
    spool: Spool
    runs: Runs
    journal: JournalFile

    def save(
        self,
        intervals: Sequence[EnergyInterval],
        reservations: Sequence[ReservationInfo],
        devices: Mapping[str, DeviceInfo],
        journal: Journal,
    ) -> bool:
        """Batches in and the journal emptied in one transaction: no kill loses or doubles a
        period. False where the disk takes nothing; then all is to be tried again."""
        try:
            with self.spool.db.transaction():
                for batch in batches(self.identity, intervals, devices, reservations):
                    self.spool.append_energy(batch)
                self.runs.add_energy(intervals)
                self.journal.write(journal.without_intervals())
        except sqlite3.Error as error:
            log.error("the spool %s takes nothing: %s", self.spool.db.path, error)
            return False
        return True

    def write_journal(self, journal: Journal) -> None:
        try:
            self.journal.write(journal)
        except sqlite3.Error as error:
            log.error("the journal in %s cannot be written: %s", self.spool.db.path, error)

    def take_over(self) -> Journal | None:
        """Spools the period that an agent before us left open. Returns its journal."""
        left = self.journal.read()
        if left is not None:
            with self.spool.db.transaction():
                for batch in left_over(self.identity, left):
                    self.spool.append_energy(batch)
                self.runs.add_energy(left.intervals)
                self.journal.write(left.without_intervals())
        return left
