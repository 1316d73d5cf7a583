"""Answers about the hours ahead, kept while nothing that they rest on has changed.

They are asked for far more often than a source publishes. An answer stands for the hour that
runs, and until any vintage is stored, by whichever process: the newest vintage is asked for, which
costs a tenth of what the answer would. Its hash is part of it, since a store that is put back from
a backup counts its vintages anew.

Who is asked a thousand times a second asks for it ten times (`at_hand`): what this process
stores shows at once, what another does a tenth of a second later.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from carbon.domain.intensity import RatedPoint
from carbon.storage.engine import last_write, reading

#: Answers held for each store: zones x signals x scopes in use, as points and as texts.
MOST: Final = 1_024

#: What is stored, as far as it matters here; None where nothing is.
Newest = tuple[int, int, bytes] | None

#: For so long nobody looks whether another process stored a vintage.
LOOK_AGAIN_NS: Final = 100_000_000

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the store found."""

    newest: Newest
    at_ns: int
    #: This process's last one, before it looked.
    write: object


_Held = OrderedDict[Hashable, tuple[Newest, Any]]
_held: WeakKeyDictionary[Engine, _Held] = WeakKeyDictionary()
_looked: WeakKeyDictionary[Engine, Looked] = WeakKeyDictionary()
_lock = Lock()
#: Asked with every forecast, and so as plain text: to compile the statement took half the time.
_NEWEST: Final = (
    "SELECT id, recorded_ms, points_hash FROM intensity_vintage ORDER BY id DESC LIMIT 1"
)


def newest_vintage(connection: Connection) -> Newest:
    """Which vintage was stored last."""
    row = connection.exec_driver_sql(_NEWEST).first()
    return None if row is None else (row[0], row[1], bytes(row[2]))


def look(engine: Engine) -> Looked:
    """Asks the store."""
    at_ns, write = time.monotonic_ns(), last_write(engine)
    with reading(engine) as connection:
        looked = Looked(newest_vintage(connection), at_ns, write)
    _looked[engine] = looked
    return looked


def at_hand(engine: Engine) -> Looked | None:
    """What was found a moment ago, where nothing that this process wrote since can have changed
    it; else None."""
    looked = _looked.get(engine)
    if looked is None or looked.write is not last_write(engine):
        return None
    return looked if time.monotonic_ns() < looked.at_ns + LOOK_AGAIN_NS else None


def held(engine: Engine, key: Hashable, newest: Newest) -> Any:
    """What was made for `key` since `newest` came; None where nothing was."""
    with _lock:
        known = _held.setdefault(engine, OrderedDict()).get(key)
    return known[1] if known is not None and known[0] == newest else None


def held_or_made(engine: Engine, key: Hashable, newest: Newest, make: Callable[[], Made]) -> Made:
    """What was made for `key` since `newest` came, else made now. Not to be changed.

    A key is always asked for with the same kind of thing.
    """
    known = held(engine, key, newest)
    if known is not None:
        return cast(Made, known)
    made = make()
    with _lock:
        kept = _held.setdefault(engine, OrderedDict())
        kept[key] = (newest, made)
        kept.move_to_end(key)
        while len(kept) > MOST:
            kept.popitem(last=False)
    return made


def cut(points: list[RatedPoint], start_ms: int, end_ms: int) -> list[RatedPoint]:
    """The part of ordered points that lies in [start, end)."""
    return [
        point
        if start_ms <= point.start_ms and point.end_ms <= end_ms
        else replace(
            point, start_ms=max(point.start_ms, start_ms), end_ms=min(point.end_ms, end_ms)
        )
        for point in points
        if point.end_ms > start_ms and point.start_ms < end_ms
    ]
