"""Where intensity comes from: what each source asks, and what was not believed of it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.intensity import RatedPoint
from carbon.grid.licences import LICENCES, allowed_of, may_pass_on
from carbon.services.context import Context
from carbon.services.grid.intensity import known_zone
from carbon.storage.engine import reading
from carbon.storage.intensity import RefusedPoint, attribution, refused_points
from carbon.wire.intensity import QuarantineAnswer, QuarantineRow, SourceAnswer

#: The table that travels with the service is filed under one name, its points with the year.
_BUNDLED = "bundled"


def sources_of(context: Context, zone: str, points: Sequence[RatedPoint]) -> list[SourceAnswer]:
    """Each source of the points once, in the order of its first, with what its owner asks."""
    first = {point.source: point for point in reversed(points)}
    names = list(dict.fromkeys(point.source for point in points))
    allowed = allowed_of(context.settings.redistribute)
    with reading(context.engine) as connection:
        return [_source(connection, zone, first[name], allowed) for name in names]


def _source(
    connection: Connection, zone: str, point: RatedPoint, allowed: frozenset[str]
) -> SourceAnswer:
    filed_as = _BUNDLED if point.source.startswith(f"{_BUNDLED}-") else point.source
    passed_on = may_pass_on(filed_as, point.flags, allowed)
    licence = LICENCES.get(filed_as)
    if licence is None:  # brought by people, or learned here
        stated = attribution(connection, zone, point)
        return SourceAnswer(point.source, stated, None, None, passed_on)
    return SourceAnswer(point.source, licence.attribution, licence.name, licence.url, passed_on)


def quarantined_points(
    context: Context, zone: str, limit: int, below_id: int | None = None
) -> QuarantineAnswer:
    """A page of what was refused of a zone, latest first. Raises NotFound(`unknown_zone`)."""
    with reading(context.engine) as connection:
        name = known_zone(connection, zone)
        rows = refused_points(connection, name, below_id, limit + 1)
    more = str(rows[limit - 1].id) if len(rows) > limit else None
    return QuarantineAnswer(name, [_row(name, row) for row in rows[:limit]], more)


def _row(zone: str, row: RefusedPoint) -> QuarantineRow:
    return QuarantineRow(
        zone,
        row.source,
        to_rfc3339(row.start_ms),
        to_rfc3339(row.end_ms),
        row.g_per_kwh,
        row.reason,
        to_rfc3339(row.recorded_ms),
    )
