"""Own forecasts of the zones that no feed foretells, made anew each hour from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from carbon.domain.intensity import IntensityPoint, PointKind, RatedPoint, Signal
from carbon.domain.units import MS_PER_HOUR
from carbon.grid.feed import OWN_FORECAST
from carbon.grid.licences import RESTRICTED_FLAG, may_pass_on
from carbon.grid.own_forecasts import HISTORY_MS, ZoneHistory, learned_forecasts
from carbon.services.context import Context
from carbon.services.grid.intensity import points_of, store_vintage
from carbon.storage.engine import reading

#: A feed that foretells so far makes an own forecast needless.
ENOUGH_AHEAD_MS: Final = 72 * MS_PER_HOUR
#: How far back a history that is held is read again: feeds revise their last hours.
REVISED_MS: Final = 72 * MS_PER_HOUR


class OwnForecasts:
    """Holds each zone's history between two hours. Not for two threads at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._held: dict[str, list[RatedPoint]] = {}

    def refresh(self, zones: Sequence[str]) -> list[str]:
        """Stores a new vintage for each zone that wants one; answers those zones."""
        now_ms = self._context.clock.now_ms()
        histories = {zone: self._history(zone, now_ms) for zone in zones}
        told = learned_forecasts(
            [_known(zone, points) for zone, points in histories.items() if points], now_ms
        )
        wanted = [zone for zone in told if not self._is_foretold(zone, now_ms)]
        for zone in wanted:
            vintage = told[zone].vintage
            if not all(may_pass_on(point.source) for point in histories[zone]):
                vintage = replace(vintage, flags=(*vintage.flags, RESTRICTED_FLAG))
            store_vintage(self._context, vintage)
        return wanted

    def _history(self, zone: str, now_ms: int) -> list[RatedPoint]:
        """The measured points of the last months, of the scope of the newest."""
        held = self._held.get(zone, [])
        since_ms = max(p.start_ms for p in held) - REVISED_MS if held else now_ms - HISTORY_MS
        with reading(self._context.engine) as connection:
            points = points_of(connection, zone, since_ms, now_ms)
        new = [point for point in points if point.kind.may_credit]
        oldest_ms = now_ms - HISTORY_MS
        kept = [p for p in held if oldest_ms < p.start_ms and p.end_ms <= since_ms] + new
        self._held[zone] = [p for p in kept if p.scope is kept[-1].scope] if kept else []
        return self._held[zone]

    def _is_foretold(self, zone: str, now_ms: int) -> bool:
        with reading(self._context.engine) as connection:
            points = points_of(connection, zone, now_ms, now_ms + ENOUGH_AHEAD_MS)
        return all(p.kind is PointKind.FORECAST and p.source != OWN_FORECAST for p in points)


def _known(zone: str, points: Sequence[RatedPoint]) -> ZoneHistory:
    plain = [IntensityPoint(p.start_ms, p.end_ms, p.g_per_kwh, p.kind) for p in points]
    return ZoneHistory(zone, Signal.AVERAGE, points[-1].scope, plain)
