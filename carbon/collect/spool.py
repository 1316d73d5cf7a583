"""Batches on their way to the server: written before they are sent, deleted once acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import msgspec

from carbon.collect.spool_db import SpoolDb
from carbon.wire.energy import EnergyBatch, UnitBatch


class BodyKind(StrEnum):
    ENERGY = "energy"
    UNITS = "units"

    @property
    def path(self) -> str:
        return f"/v1/{self}"


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    seq: int
    kind: BodyKind
    body: bytes

    def request_body(self, sent_ms: int) -> bytes:
        """The JSON to post; the number of an energy batch is its place in the spool."""
        if self.kind is not BodyKind.ENERGY:
            return self.body
        batch = msgspec.json.decode(self.body, type=EnergyBatch)
        return msgspec.json.encode(msgspec.structs.replace(batch, seq=self.seq, sent_ms=sent_ms))


class Spool:
    def __init__(self, db: SpoolDb) -> None:
        self.db = db
        #: Called for each new batch, inside its transaction: it must not wait for anything.
        self.on_append: Callable[[], None] = lambda: None

    def append_energy(self, batch: EnergyBatch) -> int:
        ends = [interval.end_ms for interval in batch.intervals]
        ends += [reservation.end_ms for reservation in batch.reservations]
        return self._append(BodyKind.ENERGY, max(ends), msgspec.json.encode(batch))

    def append_units(self, batch: UnitBatch) -> int:
        end_ms = max(count.end_ms for count in batch.units)
        return self._append(BodyKind.UNITS, end_ms, msgspec.json.encode(batch))

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

    def _append(self, kind: BodyKind, end_ms: int, body: bytes) -> int:
        with self.db.transaction() as tx:
            row = tx.execute(
                "INSERT INTO batch (kind, end_ms, body) VALUES (?, ?, ?)", (kind, end_ms, body)
            )
            self.on_append()
            return cast(int, row.lastrowid)
