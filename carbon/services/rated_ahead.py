"""Answers about the hours ahead, kept while nothing that they rest on has changed.

They are asked for far more often than a source publishes. An answer stands for the hour that
runs, and until any vintage is stored, by whichever process: the newest vintage is asked for each
time, which costs a tenth of what the answer would. Its hash is part of it, since a store that is
put back from a backup counts its vintages anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from threading import Lock
from typing import Any, Final, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine

from carbon.domain.intensity import RatedPoint

#: Answers held for each store: zones x signals x scopes in use, as points and as texts.
MOST: Final = 1_024

#: What is stored, as far as it matters here; None where nothing is.
Newest = tuple[int, int, bytes] | None

Made = TypeVar("Made")
_Held = OrderedDict[Hashable, tuple[Newest, Any]]
_held: WeakKeyDictionary[Engine, _Held] = WeakKeyDictionary()
_lock = Lock()
#: Asked with every forecast, and so as plain text: to compile the statement took half the time.
_NEWEST: Final = (
    "SELECT id, recorded_ms, points_hash FROM intensity_vintage ORDER BY id DESC LIMIT 1"
)


def newest_vintage(connection: Connection) -> Newest:
    """Which vintage was stored last."""
    row = connection.exec_driver_sql(_NEWEST).first()
    return None if row is None else (row[0], row[1], bytes(row[2]))


def held_or_made(engine: Engine, key: Hashable, newest: Newest, make: Callable[[], Made]) -> Made:
    """What was made for `key` since `newest` came, else made now. Not to be changed.

    A key is always asked for with the same kind of thing.
    """
    with _lock:
        held = _held.setdefault(engine, OrderedDict())
        known = held.get(key)
    if known is not None and known[0] == newest:
        return cast(Made, known[1])
    made = make()
    with _lock:
        held[key] = (newest, made)
        held.move_to_end(key)
        while len(held) > MOST:
            held.popitem(last=False)
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
