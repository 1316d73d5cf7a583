"""Batches on their way to the server: written before they are sent, deleted once acknowledged."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final, cast

import msgspec
from msgspec import Struct

from carbon.collect.spool_db import SpoolDb
from carbon.wire.energy import EnergyBatch, UnitBatch

log = logging.getLogger(__name__)

#: Refused batches are kept for a person to look at: a week of a server that refuses each period.
REFUSED_KEPT: Final = 60_480


class BodyKind(StrEnum):
    ENERGY = "energy"
    UNITS = "units"

    @property
    def path(self) -> str:
        return f"/v1/{self}"


class SpooledBatch(Struct, frozen=True):
    seq: int
    kind: BodyKind
    body: bytes

    def request_body(self, sent_ms: int, spooled: int | None = None) -> bytes:
        """The JSON to post; the number of an energy batch is its place in the spool. `spooled`
        is how many others wait."""
        if self.kind is not BodyKind.ENERGY:
            return self.body
        batch = msgspec.json.decode(self.body, type=EnergyBatch)
        sent = {"seq": self.seq, "sent_ms": sent_ms, "spooled": spooled}
        return msgspec.json.encode(msgspec.structs.replace(batch, **sent))


class Spool:
    def __init__(self, db: SpoolDb) -> None:
        self.db = db
        #: Called for each new batch, inside its transaction: it must not wait for anything.
        self.on_append: Callable[[], None] = lambda: None

    def append_energy(self, batch: EnergyBatch) -> int:
        return self._append(BodyKind.ENERGY, _end_of_energy(batch), msgspec.json.encode(batch))

    def append_units(self, batch: UnitBatch) -> int:
        return self._append(BodyKind.UNITS, _end_of_units(batch), msgspec.json.encode(batch))

    def pending(self, limit: int, ended_by_ms: int) -> Sequence[SpooledBatch]:
        """The oldest first. What ends later than `ended_by_ms` waits: the server rejects the
        future, and after the clock was set back our time stamps may lie there for a while."""
        rows = self.db.rows(
            "SELECT seq, kind, body FROM batch WHERE end_ms <= ? ORDER BY seq LIMIT ?",
            ended_by_ms,
            limit,
        )
        return [
            SpooledBatch(cast(int, seq), BodyKind(cast(str, kind)), cast(bytes, body))
            for seq, kind, body in rows
        ]

    def ack(self, seqs: Sequence[int]) -> None:
        with self.db.transaction() as tx:
            tx.executemany("DELETE FROM batch WHERE seq = ?", [(seq,) for seq in seqs])

    def retry_refused(self) -> int:
        """Puts what was set aside back in line under its old numbers; returns how many. Parts that
        the server has already it knows again."""
        with self.db.transaction() as tx:
            rows = self.db.rows("SELECT seq, kind, body FROM refused ORDER BY seq")
            for seq, kind, body in cast(list[tuple[int, str, bytes]], rows):
                tx.execute(
                    "INSERT OR IGNORE INTO batch (seq, kind, end_ms, body) VALUES (?, ?, ?, ?)",
                    (seq, kind, _end_ms(BodyKind(kind), body), body),
                )
            tx.execute("DELETE FROM refused")
        return len(rows)

    def refuse(self, batch: SpooledBatch, status: int, answer: str) -> None:
        """Sets a batch aside with the server's answer, so that it blocks nothing."""
        with self.db.transaction() as tx:
            self.keep_answer(batch, status, answer)
            tx.execute("DELETE FROM batch WHERE seq = ?", (batch.seq,))

    def keep_answer(self, batch: SpooledBatch, status: int, answer: str) -> None:
        """Keeps a batch that the server took in part, with what it said of the rest."""
        with self.db.transaction() as tx:
            tx.execute(
                "INSERT OR REPLACE INTO refused (seq, kind, body, status, answer)"
                " VALUES (?, ?, ?, ?, ?)",
                (batch.seq, batch.kind, batch.body, status, answer[:10_000]),
            )
            self._forget_oldest_refused(tx)

    @property
    def depth(self) -> int:
        return cast(int, self.db.rows("SELECT count(*) FROM batch")[0][0])

    @property
    def refused(self) -> Sequence[tuple[int, int, str]]:
        """(seq, status, answer) of what the server would not have, in part or whole."""
        rows = self.db.rows("SELECT seq, status, answer FROM refused ORDER BY seq")
        return cast(list[tuple[int, int, str]], rows)

    @property
    def last_seq(self) -> int:
        """The watermark: the highest number ever given out; it outlives the batches."""
        rows = self.db.rows("SELECT seq FROM sqlite_sequence WHERE name = 'batch'")
        return cast(int, rows[0][0]) if rows else 0

    @property
    def refused_dropped(self) -> int:
        """Refused batches that had to make room for later ones, since the file was made."""
        return int(self.db.meta("refused_dropped") or 0)

    def _forget_oldest_refused(self, tx: sqlite3.Connection) -> None:
        """A server that refuses everything must not fill the disk; what is lost is counted."""
        dropped = tx.execute(
            "DELETE FROM refused WHERE seq IN"
            " (SELECT seq FROM refused ORDER BY seq DESC LIMIT -1 OFFSET ?)",
            (REFUSED_KEPT,),
        ).rowcount
        if dropped:
            log.error("%d refused batches were dropped: the oldest make room", dropped)
            self.db.set_meta("refused_dropped", str(self.refused_dropped + dropped))

    def _append(self, kind: BodyKind, end_ms: int, body: bytes) -> int:
        with self.db.transaction() as tx:
            row = tx.execute(
                "INSERT INTO batch (kind, end_ms, body) VALUES (?, ?, ?)", (kind, end_ms, body)
            )
            self.on_append()
            return cast(int, row.lastrowid)


def _end_of_energy(batch: EnergyBatch) -> int:
    ends = [interval.end_ms for interval in batch.intervals]
    return max(ends + [reservation.end_ms for reservation in batch.reservations])


def _end_of_units(batch: UnitBatch) -> int:
    return max(count.end_ms for count in batch.units)


def _end_ms(kind: BodyKind, body: bytes) -> int:
    if kind is BodyKind.ENERGY:
        return _end_of_energy(msgspec.json.decode(body, type=EnergyBatch))
    return _end_of_units(msgspec.json.decode(body, type=UnitBatch))
