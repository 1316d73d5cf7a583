"""How carbon was priced, as ids that the roll-ups carry."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, select

from carbon.domain.intensity import RatedPoint
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


def rating_of(zone: str, point: RatedPoint, flags: tuple[str, ...]) -> Rating:
    return Rating(
        zone,
        point.source,
        str(point.signal),
        str(point.scope),
        str(point.kind),
        tuple(sorted({*point.flags, *flags})),
    )


def rating_id(connection: Connection, wanted: Rating) -> int:
    row = {
        "zone": wanted.zone,
        "source": wanted.source,
        "signal": wanted.signal,
        "scope": wanted.scope,
        "kind": wanted.kind,
        "flags": ",".join(wanted.flags),
    }
    query = select(rating.c.id).where(and_(*(rating.c[k] == v for k, v in row.items())))
    found = connection.scalar(query)
    if found is None:
        insert_new(connection, rating, [row])
        found = connection.execute(query).scalar_one()
    return int(found)


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
