"""What the sendings of one transaction have in common is written once, at its end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import Connection, bindparam, update

from carbon.storage.bulk import (
    FEW,
    Insert,
    IntervalRow,
    add_columns,
    add_rows,
    insert_new_rows,
    insert_together,
)
from carbon.storage.dirty import REPLACING, distinct, mark_few, mark_packed, marks_of, pack
from carbon.storage.energy import dirty_bucket, energy_interval, ingest_batch
from carbon.storage.engine import is_sqlite
from carbon.storage.interval_columns import Ints, columns_of, in_order
from carbon.storage.names import source

# Built once: on the path of every small sending, building a statement costs more than running it.
_SOURCE_SEEN = (
    update(source)
    .where(source.c.id == bindparam("of_source"))
    .values({name: bindparam(name) for name in ("last_seen_ms", "skew_ms", "spooled")})
)


@dataclass
class Pending:
    #: (start_ms, device_id) of the buckets that change.
    dirty: set[tuple[int, int]] = field(default_factory=set)
    #: The body's hash, how many intervals, and when recorded, of the table `ingest_batch`, by key.
    batches: dict[tuple[int, str, int], tuple[bytes, int, int]] = field(default_factory=dict)
    #: When each source was last seen, its skew, and how many batches still wait at it.
    sources: dict[int, tuple[int, int | None, int | None]] = field(default_factory=dict)
    #: Rows that go straight to the cold tier, by their UTC day.
    cold: dict[int, list[Ints]] = field(default_factory=dict)
    _columns: list[Ints] = field(default_factory=list)
    _rows: list[IntervalRow] = field(default_factory=list)
    _dirty: list[Ints] = field(default_factory=list)
    _few_dirty: set[int] = field(default_factory=set)

    def mark(self, buckets: Ints) -> None:
        """As those of `dirty`, given by `storage.dirty.packed`."""
        self._dirty.append(buckets)

    def mark_few(self, buckets: Collection[int]) -> None:
        """As `mark`, one by one."""
        self._few_dirty.update(buckets)

    def add_new(self, columns: Ints) -> None:
        """Rows of `energy_interval` that contradict nothing, and whose keys should be new."""
        self._columns.append(columns)

    def add_new_rows(self, rows: Sequence[IntervalRow]) -> None:
        """As `add_new`, one by one."""
        self._rows.extend(rows)

    def flush_rows(self, connection: Connection) -> None:
        """Before anybody looks at rows that are stored. Raises NotAllNew."""
        columns, rows = self._columns, self._rows
        self._columns, self._rows = [], []
        if columns:
            some = [columns_of(rows)] if rows else []
            parts = [*columns, *some]
            whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
            add_columns(connection, in_order(whole))
        elif rows:
            add_rows(connection, sorted(rows))

    def flush(self, connection: Connection) -> None:
        """Raises NotAllNew."""
        self._flush_sources(connection)
        noted = [(*key, *of_batch) for key, of_batch in self.batches.items()]
        few = self._few_dirty.union(pack(*bucket) for bucket in self.dirty)
        if not is_sqlite(connection) and self._is_small(few):
            together: list[Insert] = [
                (energy_interval, sorted(self._rows), ""),
                (ingest_batch, noted, "ON CONFLICT DO NOTHING"),
                (dirty_bucket, marks_of(sorted(few)), REPLACING),
            ]
            insert_together(connection, together)
            return
        self.flush_rows(connection)
        insert_new_rows(connection, ingest_batch, noted)
        if self._dirty:
            some = [np.fromiter(few, dtype=np.int64, count=len(few))] if few else []
            mark_packed(connection, distinct(np.concatenate([*self._dirty, *some])))
        elif few:
            mark_few(connection, few)

    def _is_small(self, marks: Collection[int]) -> bool:
        return not self._columns and not self._dirty and len(self._rows) + len(marks) <= FEW

    def _flush_sources(self, connection: Connection) -> None:
        if self.sources:
            seen = [
                {"of_source": one, "last_seen_ms": at_ms, "skew_ms": skew_ms, "spooled": spooled}
                for one, (at_ms, skew_ms, spooled) in sorted(self.sources.items())
            ]
            connection.execute(_SOURCE_SEEN, seen)
