"""Great Britain, from the National Energy System Operator's Carbon Intensity API. No key.

Half-hours, 24 h and more back and up to 48 h ahead, often less. The signal is average with
imports and losses; its factors are of combustion alone (gas CCGT 394, coal 937, biomass 120,
wind, sun, water and nuclear 0 g/kWh), so the scope is direct.

Its regions, `GB-REGION-1` to `GB-REGION-17` by the API's own numbers (1 to 14 the areas of the
distribution networks, then England, Scotland and Wales), have no measurement: what a passed
half-hour was taken for is the source's estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx2
import msgspec

from carbon.clock import Clock, from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, ceil_to, floor_to
from carbon.grid.answer import get_answer
from carbon.grid.feed import CC_BY_4, CC_BY_4_URL, FeedAnswerInvalid, Licence, vintage_of

BASE_URL = "https://api.carbonintensity.org.uk"
ZONE = "GB"
#: The API's number of each region, by the zone's name here.
REGIONS = {f"GB-REGION-{number}": number for number in range(1, 18)}
ZONES = (ZONE, *REGIONS)
HALF_HOUR_MS = MS_PER_HOUR // 2
#: The longest span that one question about the past may have.
LONGEST_SPAN_MS = 14 * MS_PER_DAY


class _Intensity(msgspec.Struct, frozen=True):
    """g/kWh; `actual` is null until the half-hour has passed, and sometimes for good."""

    forecast: float | None = None
    actual: float | None = None


class _HalfHour(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    start: str
    end: str
    intensity: _Intensity


class _Answer(msgspec.Struct, frozen=True):
    data: list[_HalfHour]


class _Region(msgspec.Struct, frozen=True):
    data: list[_HalfHour]


class _RegionAnswer(msgspec.Struct, frozen=True):
    data: _Region


class Neso:
    name = "neso"
    licence = Licence(
        CC_BY_4,
        CC_BY_4_URL,
        "Carbon intensity of Great Britain: National Energy System Operator (NESO), CC BY 4.0",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    signal = Signal.AVERAGE
    scope = EmissionScope.DIRECT
    period_ms = HALF_HOUR_MS
    horizon_ms = 48 * MS_PER_HOUR

    def __init__(self, http: httpx2.Client, clock: Clock, base_url: str = BASE_URL) -> None:
        self._http = http
        self._clock = clock
        self._base_url = base_url.rstrip("/")

    def zones(self) -> Sequence[str]:
        return ZONES

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One vintage, published now: the API does not say when it computed a figure."""
        now_ms = self._clock.now_ms()
        points = self._points(zone, start_ms, end_ms, floor_to(now_ms, HALF_HOUR_MS))
        if not points:
            raise FeedAnswerInvalid(self.name, "the answer holds no half-hour with a value")
        flags = ("regional_estimate",) if zone in REGIONS else ()
        return [vintage_of(self, zone, now_ms, points, flags)]

    def _points(self, zone: str, start_ms: int, end_ms: int, turn_ms: int) -> list[IntensityPoint]:
        """The past up to `turn_ms` and the future from there, asked for apart.

        The API adds the half-hour before the one asked for; what lies outside is dropped, so
        that the two answers do not overlap.
        """
        points: list[IntensityPoint] = []
        start_ms, end_ms = floor_to(start_ms, HALF_HOUR_MS), ceil_to(end_ms, HALF_HOUR_MS)
        for lo in range(start_ms, min(end_ms, turn_ms), LONGEST_SPAN_MS):
            hi = min(lo + LONGEST_SPAN_MS, end_ms, turn_ms)
            points += _within(self._ask(zone, f"{_minute(lo)}/{_minute(hi)}", turn_ms), lo, hi)
        if end_ms > turn_ms:
            lo = max(start_ms, turn_ms)
            points += _within(self._ask(zone, f"{_minute(lo)}/fw48h", turn_ms), lo, end_ms)
        return points

    def _ask(self, zone: str, path: str, turn_ms: int) -> Iterator[IntensityPoint]:
        try:
            points = [_point(row) for row in self._half_hours(zone, path)]
        except ValueError as error:
            raise FeedAnswerInvalid(self.name, f"a half-hour without a time: {error}") from error
        told = [point for point in points if point is not None]
        if zone in REGIONS:
            told = [
                replace(p, kind=PointKind.ESTIMATED) if p.end_ms <= turn_ms else p for p in told
            ]
        return iter(told)

    def _half_hours(self, zone: str, path: str) -> list[_HalfHour]:
        if zone == ZONE:
            url = f"{self._base_url}/intensity/{path}"
            return get_answer(self._http, self.name, url, _Answer, {}).data
        url = f"{self._base_url}/regional/intensity/{path}/regionid/{REGIONS[zone]}"
        return get_answer(self._http, self.name, url, _RegionAnswer, {}).data.data


def _point(row: _HalfHour) -> IntensityPoint | None:
    kind, g_per_kwh = PointKind.ACTUAL, row.intensity.actual
    if g_per_kwh is None:
        kind, g_per_kwh = PointKind.FORECAST, row.intensity.forecast
    if g_per_kwh is None:
        return None
    return IntensityPoint(from_rfc3339(row.start), from_rfc3339(row.end), g_per_kwh, kind)


def _within(
    points: Iterator[IntensityPoint], start_ms: int, end_ms: int
) -> Iterator[IntensityPoint]:
    return (point for point in points if point.end_ms > start_ms and point.start_ms < end_ms)


def _minute(ms: int) -> str:
    """The only way in which the API reads a time: 2026-01-20T12:00Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")
