"""Which hours, days and months of the roll-ups were written when: a number that is drawn anew with
each write of any of a period's rows, in the transaction that writes.

It is what tells a process that keeps rows in memory whether they stand (`storage/period_rows`): a
period without a number was not written since the table is there.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Connection, Table, delete, select

from carbon.storage.schema import Code, Ms, metadata
from carbon.storage.upsert import set_rows

#: Table → kind of its periods.
KINDS: Final = {
    "device_hour": 0,
    "device_day": 1,
    "device_month": 2,
    "workload_hour": 3,
    "workload_day": 4,
}
#: Kind of the one row that says until when replicas that draw no numbers may be at work.
UNNUMBERED: Final = -1

period_change = Table(
    "period_change",
    metadata,
    Column("kind", Code, primary_key=True),  # KINDS
    Column("start_ms", Ms, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def note_changes(connection: Connection, table: Table, starts_ms: Iterable[int]) -> None:
    """Of a table's periods whose rows this transaction writes."""
    number = secrets.randbits(62)
    own = {"kind": KINDS[table.name], "number": number}
    set_rows(connection, period_change, [{**own, "start_ms": at} for at in sorted(set(starts_ms))])


@dataclass(frozen=True, slots=True)
class Changes:
    """What was drawn for the periods of some tables: (start_ms, number) of each, in order."""

    _drawn: Mapping[str, Sequence[tuple[int, int]]]

    def of(self, table: Table, start_ms: int, end_ms: int) -> tuple[tuple[int, int], ...]:
        """Of all that begins in [start, end): of another time zone a day begins at another hour."""
        drawn = self._drawn.get(table.name, ())
        return tuple(drawn[bisect_left(drawn, (start_ms,)) : bisect_left(drawn, (end_ms,))])


def changes_in(connection: Connection, spans: Collection[tuple[Table, int, int]]) -> Changes | None:
    """Of what begins in any of the spans (table, start_ms, end_ms). None while numbers do not tell
    everything."""
    told = [f"kind = {UNNUMBERED}"]
    told += [
        f"(kind = {KINDS[table.name]} AND start_ms >= {lo} AND start_ms < {hi})"
        for table, lo, hi in spans
    ]
    found = connection.exec_driver_sql(
        f"SELECT kind, start_ms, number FROM period_change WHERE {' OR '.join(told)} "
        "ORDER BY kind, start_ms"
    ).all()
    if any(kind == UNNUMBERED for kind, _, _ in found):
        return None
    names = {kind: name for name, kind in KINDS.items()}
    drawn: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for kind, start_ms, number in found:
        drawn[names[kind]].append((start_ms, number))
    return Changes(drawn)


def unnumbered_until(connection: Connection) -> int | None:
    """The moment by which replicas that draw no numbers are gone; None where none is at work."""
    c = period_change.c
    until_ms: int | None = connection.scalar(select(c.start_ms).where(c.kind == UNNUMBERED))
    return until_ms


def rely_on_changes(connection: Connection) -> None:
    """Whoever writes draws numbers by now."""
    connection.execute(delete(period_change).where(period_change.c.kind == UNNUMBERED))
