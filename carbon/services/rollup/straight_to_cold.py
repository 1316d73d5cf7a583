"""Rows of old imports go straight to the cold tier, within the transaction that acknowledges them.

A device of a day that lies there is closed, and its rows are those of the day's files, or it is
open, and its rows are those of the database (`storage.sealed_days`). So the rows of closed devices
join the files; those of open ones, and of a day that was not sealed yet, take the way of all rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.rollup.raw_readings import cold_store, may_be_cold, open_held
from carbon.storage.bulk import NotAllNew
from carbon.storage.cold import SOON_JOINED, ColdStore
from carbon.storage.energy import Written, has_raw_between, judged, rows_of
from carbon.storage.identities import Identities
from carbon.storage.interval_columns import (
    END,
    ENERGY,
    METER,
    NOTHING,
    SPAN,
    Ints,
    columns_of,
    follow_each_other,
)
from carbon.storage.names import meters_devices
from carbon.storage.sealed_days import SealedDay, add_file, day_of, hold_day, opened_meters


def straight_to_cold(
    context: Context, ids: Identities, columns: Ints, is_import: bool
) -> NDArray[np.bool_]:
    """Which rows go to the cold tier. Days that may lie there are held until the transaction ends,
    and devices of the other rows are opened."""
    is_cold = np.zeros(columns.shape[1], dtype=bool)
    if not may_be_cold(context, int(columns[END].min()) - MS_PER_DAY):
        return is_cold
    days = _days(columns)
    late = [day_ms for day_ms in np.unique(days).tolist() if may_be_cold(context, day_ms)]
    if late:
        ids.pending.flush_rows(ids.connection)  # or nobody would know of them below
    for day_ms in late:
        day = hold_day(ids.connection, day_ms)
        of_day = days == day_ms
        meters = np.unique(columns[METER, of_day]).tolist()
        if is_import and day_ms < context.hot_from_ms and _takes_more(ids, day):
            opened = opened_meters(ids.connection, day_ms)
            is_cold |= of_day & ~np.isin(columns[METER], list(opened))
        elif day_ms in ids.pending.cold:
            raise NotAllNew  # an import's rows of the day are not yet written: one by one, then
        elif day.files:
            open_held(context, ids.connection, day, meters_devices(ids.connection, meters))
    return is_cold


def _takes_more(ids: Identities, day: SealedDay) -> bool:
    """Whether a day lies in the cold tier, or has no rows yet that wait to be sealed."""
    if day.files or day.day_ms in ids.pending.cold:
        return True
    return not has_raw_between(ids.connection, day.day_ms, day.day_ms + MS_PER_DAY)


def join_cold(context: Context, ids: Identities, columns: Ints) -> Written:
    """Judges rows by what lies in the cold tier; the new ones are written there by `write_cold`."""
    days = _days(columns)
    around = [NOTHING]
    for day_ms in np.unique(days).tolist():
        around += [_known(context, ids, day_ms, columns[:, days == day_ms])]
    known = np.concatenate(around, axis=1)
    written = Written(frozenset(), ())
    if known.size or not follow_each_other(columns):
        new, written = judged(rows_of(columns), rows_of(known))
        columns = columns_of(new)
        days = _days(columns)
    for day_ms in np.unique(days).tolist():
        ids.pending.cold.setdefault(day_ms, []).append(columns[:, days == day_ms])
    return written


def _known(context: Context, ids: Identities, day_ms: int, columns: Ints) -> Ints:
    """The day's rows that some may repeat or overlap; rows never reach over midnight."""
    widest = int(columns[SPAN].max())
    first = int((columns[END] - columns[SPAN]).min())
    last = int(columns[END].max()) + widest
    meters = np.unique(columns[METER])
    pending = np.concatenate([NOTHING, *ids.pending.cold.get(day_ms, ())], axis=1)
    near = (pending[END] > first) & (pending[END] < last) & np.isin(pending[METER], meters)
    day = day_of(ids.connection, day_ms)
    files = day.files if day else ()
    stored = cold_store(context).read(files, first, last - 1, meters.tolist())
    return np.concatenate([stored, pending[:, near]], axis=1)


def write_cold(context: Context, ids: Identities) -> None:
    """Writes what `join_cold` kept, a file a day, and names it. To be called when nothing but the
    commit can fail any more: a file that nobody names only takes room."""
    store = cold_store(context)
    for day_ms, parts in sorted(ids.pending.cold.items()):
        day = hold_day(ids.connection, day_ms)
        new = np.concatenate(parts, axis=1)
        joined = _joined(store, day.files, new.shape[1])
        old = store.read(joined, day_ms, day_ms + MS_PER_DAY)
        rows = np.concatenate([old, new], axis=1)
        file = store.write(day_ms, _hours(day_ms, rows), SOON_JOINED)
        added = (new.shape[1], int(new[ENERGY].sum()))
        add_file(ids.connection, day, file, added, joined, ids.now_ms)
    ids.pending.cold.clear()


def _joined(store: ColdStore, files: tuple[str, ...], rows: int) -> list[str]:
    """The last files of a day that are not much larger than what joins them: so a day has few, and
    no row is written often."""
    joined: list[str] = []
    for name in reversed(files):
        if store.rows(name) > 2 * rows:
            break
        rows += store.rows(name)
        joined.append(name)
    return joined


def _hours(day_ms: int, rows: Ints) -> Iterator[Ints]:
    hour = (rows[END] - 1 - day_ms) // MS_PER_HOUR
    for at in np.unique(hour).tolist():
        yield rows[:, hour == at]


def _days(columns: Ints) -> Ints:
    """The UTC day of each row (`storage.partitions.day_of_end`)."""
    days: Ints = (columns[END] - 1) // MS_PER_DAY * MS_PER_DAY
    return days
