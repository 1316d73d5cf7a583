"""Every zone in use with the step of its ladder that holds now, and how its feeds do."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from carbon.grid.poller import FeedStatus
from carbon.services.background.polling import zones_in_use
from carbon.services.context import Context
from carbon.services.grid.intensity import rated_points
from carbon.storage.engine import reading
from carbon.storage.screens import count_quarantined


class ZoneNow(Struct, frozen=True):
    zone: str
    #: Null where nothing is known of the zone.
    g_per_kwh: float | None
    kind: str | None
    source: str | None
    signal: str | None
    scope: str | None
    published_ms: int | None
    may_shift: bool
    flags: list[str]


class FeedNow(Struct, frozen=True):
    source: str
    zone: str
    is_well: bool
    last_success_ms: int | None
    next_attempt_ms: int
    points: int
    quarantined: int
    failures: int
    last_error: str


class GridView(Struct, frozen=True):
    generated_ms: int
    timezone: str
    zones: list[ZoneNow]
    #: As this process saw them since its start.
    feeds: list[FeedNow]
    quarantined: int


def grid_view(context: Context, statuses: Sequence[FeedStatus]) -> GridView:
    now_ms = context.clock.now_ms()
    zones = [_zone(context, zone, now_ms) for zone in zones_in_use(context)]
    with reading(context.engine) as connection:
        refused = count_quarantined(connection)
    feeds = [
        FeedNow(
            s.source,
            s.zone,
            s.ok,
            s.last_success_ms,
            s.next_attempt_ms,
            s.points,
            s.quarantined,
            s.failures,
            s.last_error,
        )
        for s in sorted(statuses, key=lambda s: (s.zone, s.source))
    ]
    return GridView(now_ms, context.settings.timezone, zones, feeds, refused)


def _zone(context: Context, zone: str, now_ms: int) -> ZoneNow:
    points = rated_points(context, zone, now_ms, now_ms + 1)
    if not points:
        return ZoneNow(zone, None, None, None, None, None, None, False, [])
    p = points[0]
    return ZoneNow(
        zone,
        p.g_per_kwh,
        str(p.kind),
        p.source,
        str(p.signal),
        str(p.scope),
        p.published_ms or None,
        p.kind.may_shift,
        list(p.flags),
    )
