"""A long outage: old rows of the spool become minutes, and every total stays what it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Final, cast

import msgspec
from msgspec import Struct

from carbon.collect.spool import BodyKind, Spool
from carbon.domain.units import floor_to
from carbon.wire.energy import EnergyBatch, EnergyInterval

log = logging.getLogger(__name__)

MINUTE_MS: Final = 60_000
#: Rows stay as they are for so long, unless they take more room than that.
KEEP_MS: Final = 7 * 86_400_000
KEEP_BYTES: Final = 1 << 30
#: What is younger stays in any case: its minute may still be open.
_YOUNG_MS: Final = 3_600_000
_BATCHES_AT_ONCE: Final = 360
_DONE: Final = "thinned_to"

Span = tuple[int, int, str]
Who = tuple[str | None, str | None, str | None]


def thin_spool(
    spool: Spool, now_ms: int, keep_ms: int = KEEP_MS, keep_bytes: int = KEEP_BYTES
) -> int:
    """One pass over the oldest batches that are not yet thinned; returns how many it took up.

    For the thread that delivers: nobody may be sending what is replaced here.
    """
    keep_ms = _YOUNG_MS if spool.db.used_bytes > keep_bytes else keep_ms
    rows = _oldest(spool, now_ms - keep_ms)
    if not rows:
        return 0
    decoded = [(seq, msgspec.json.decode(body, type=EnergyBatch)) for seq, body in rows]
    with spool.db.transaction() as tx:
        for seqs, batch in _merged(decoded):
            tx.executemany("DELETE FROM batch WHERE seq = ?", [(seq,) for seq in seqs[:-1]])
            tx.execute(
                "UPDATE batch SET body = ? WHERE seq = ?", (msgspec.json.encode(batch), seqs[-1])
            )
        spool.db.set_meta(_DONE, str(rows[-1][0]))
    log.warning("the spool is long: %d batches became minutes", len(rows))
    return len(rows)


def thinned(batches: Sequence[EnergyBatch]) -> EnergyBatch:
    """One batch of what several of one sender say, with a row a minute where neighbours allow."""
    intervals = [interval for batch in batches for interval in batch.intervals]
    devices = {info.device: info for batch in batches for info in batch.devices}
    return msgspec.structs.replace(
        batches[-1],
        intervals=list(_by_minute(intervals)),
        devices=list(devices.values()),
        reservations=[held for batch in batches for held in batch.reservations],
    )


def _oldest(spool: Spool, ended_by_ms: int) -> list[tuple[int, bytes]]:
    rows = spool.db.rows(
        "SELECT seq, body FROM batch WHERE kind = ? AND seq > ? AND end_ms <= ?"
        " ORDER BY seq LIMIT ?",
        BodyKind.ENERGY,
        int(spool.db.meta(_DONE) or 0),
        ended_by_ms,
        _BATCHES_AT_ONCE,
    )
    return cast(list[tuple[int, bytes]], rows)


def _merged(
    decoded: Sequence[tuple[int, EnergyBatch]],
) -> Iterator[tuple[list[int], EnergyBatch]]:
    """Runs of batches of one sender, boot and place."""
    for _, run in groupby(decoded, key=lambda item: _sender(item[1])):
        part = list(run)
        yield [seq for seq, _ in part], thinned([batch for _, batch in part])


def _sender(batch: EnergyBatch) -> tuple[object, ...]:
    return batch.source, batch.boot_id, batch.host, batch.zone, batch.zone_is_guess


def _by_minute(intervals: Sequence[EnergyInterval]) -> Iterator[EnergyInterval]:
    ordered = sorted(intervals, key=lambda i: (i.device, i.start_ms, i.end_ms))
    for device, own in groupby(ordered, key=lambda i: i.device):
        segments = [_Segment.of(rows) for _, rows in groupby(own, key=_span_of)]
        for segment in _joined(segments):
            yield from segment.rows(device)


def _span_of(interval: EnergyInterval) -> Span:
    return interval.start_ms, interval.end_ms, interval.method


class _Segment(Struct):
    """What all subjects drew over one span. They stay on one span together: of two that differ
    the ledger would count the shorter alone."""

    start_ms: int
    end_ms: int
    method: str
    energy_mj: dict[Who, int]

    @classmethod
    def of(cls, rows: Iterator[EnergyInterval]) -> _Segment:
        first = next(rows)
        segment = cls(first.start_ms, first.end_ms, first.method, {})
        for row in (first, *rows):
            segment.add((row.workload, row.run, row.subject), row.energy_mj)
        return segment

    def add(self, who: Who, energy_mj: int) -> None:
        self.energy_mj[who] = self.energy_mj.get(who, 0) + energy_mj

    def takes(self, after: _Segment) -> bool:
        minute_ms = floor_to(self.start_ms, MINUTE_MS)
        is_neighbour = self.end_ms == after.start_ms and self.method == after.method
        return is_neighbour and after.end_ms <= minute_ms + MINUTE_MS

    def rows(self, device: str) -> Iterator[EnergyInterval]:
        for (workload, run, subject), energy_mj in self.energy_mj.items():
            yield EnergyInterval(
                device, self.start_ms, self.end_ms, energy_mj, self.method, workload, run, subject
            )


def _joined(segments: Sequence[_Segment]) -> Sequence[_Segment]:
    """Neighbours within a minute; a device whose spans overlap is left as it is."""
    if any(after.start_ms < before.end_ms for before, after in pairwise(segments)):
        return segments
    joined: list[_Segment] = []
    for segment in segments:
        if joined and joined[-1].takes(segment):
            joined[-1].end_ms = segment.end_ms
            for who, energy_mj in segment.energy_mj.items():
                joined[-1].add(who, energy_mj)
        else:
            joined.append(segment)
    return joined
