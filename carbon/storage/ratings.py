"""How carbon was priced, as ids that the roll-ups carry."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, select

from carbon.domain.intensity import RatedPoint
from carbon.storage.places import PUE_UNSET
from carbon.storage.rollups import rating
from carbon.storage.upsert import insert_new


@dataclass(frozen=True, slots=True)
class Rating:
    """Where a price of carbon came from; shown beside every figure."""

    zone: str
    source: str
    signal: str
    scope: str
    kind: str
    flags: tuple[str, ...]

    @property
    def pue_is_stated(self) -> bool:
        return PUE_UNSET not in self.flags


def rating_of(zone: str, point: RatedPoint, flags: tuple[str, ...]) -> Rating:
    return Rating(
        zone,
        point.source,
        str(point.signal),
        str(point.scope),
        str(point.kind),
        tuple(sorted({*point.flags, *flags})),
    )


class Ratings:
    """The ids of ratings. A writer stores what is new; a reader, who must not write, numbers it
    for the moment (below 0)."""

    def __init__(self, connection: Connection, may_store: bool) -> None:
        self._connection = connection
        self._may_store = may_store
        self._ids = {known: key for key, known in ratings(connection).items()}

    def id_of(self, wanted: Rating) -> int:
        if wanted not in self._ids:
            self._ids[wanted] = self._store(wanted) if self._may_store else -1 - len(self._ids)
        return self._ids[wanted]

    @property
    def by_id(self) -> dict[int, Rating]:
        return {key: known for known, key in self._ids.items()}

    def _store(self, wanted: Rating) -> int:
        row = {
            "zone": wanted.zone,
            "source": wanted.source,
            "signal": wanted.signal,
            "scope": wanted.scope,
            "kind": wanted.kind,
            "flags": ",".join(wanted.flags),
        }
        insert_new(self._connection, rating, [row])
        matches = and_(*(rating.c[name] == value for name, value in row.items()))
        return int(self._connection.execute(select(rating.c.id).where(matches)).scalar_one())


def is_stored(rating_id: int) -> bool:
    return rating_id > 0


def ratings(connection: Connection) -> dict[int, Rating]:
    """All ratings; a few hundred rows at most."""
    return {
        row.id: Rating(
            row.zone,
            row.source,
            row.signal,
            row.scope,
            row.kind,
            tuple(filter(None, row.flags.split(","))),
        )
        for row in connection.execute(select(rating))
    }
