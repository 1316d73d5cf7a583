"""Any zone of Electricity Maps, API v4, with the deployment's own key.

Average with imports (flow-traced), life-cycle factors, hourly. The last 24 h and, by plan, 24 to
72 h ahead: a key without the forecast answers 401 or 403 there, and the past alone is served.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx2
import msgspec

from carbon.clock import Clock, from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_HOUR
from carbon.domain.yearly import normal_zone
from carbon.grid.answer import Shape, get_answer
from carbon.grid.feed import FeedAnswerInvalid, FeedKeyRefused, Licence, vintage_of

BASE_URL = "https://api.electricitymaps.com/v4"


class _Value(msgspec.Struct, frozen=True, rename="camel"):
    datetime: str
    carbon_intensity: float | None = None
    updated_at: str | None = None
    emission_factor_type: str = "lifecycle"
    is_estimated: bool | None = None


class _History(msgspec.Struct, frozen=True):
    zone: str
    history: list[_Value]


class _Forecast(msgspec.Struct, frozen=True, rename="camel"):
    zone: str
    forecast: list[_Value]
    updated_at: str


class _Latest(msgspec.Struct, frozen=True):
    zone: str


class ElectricityMaps:
    name = "electricity_maps"
    licence = Licence(
        "Electricity Maps terms of the key",
        "https://www.electricitymaps.com/terms-and-conditions",
        "Carbon intensity: Electricity Maps",
        may_store=True,
        may_redistribute=False,
        commercial=False,
    )
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    period_ms = MS_PER_HOUR // 2
    #: By plan; a key without it must not look short.
    horizon_ms = 0

    def __init__(
        self,
        http: httpx2.Client,
        clock: Clock,
        key: str,
        zones: Sequence[str],
        base_url: str = BASE_URL,
    ) -> None:
        """`zones` that the key may see, as its free plan sees one."""
        self._http, self._clock, self._key = http, clock, key
        self._zones = tuple(zones)
        self._base_url = base_url.rstrip("/")

    def zones(self) -> Sequence[str]:
        return self._zones

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """A vintage of the past and, where the plan has one, a forecast's; both by their own
        time of publication."""
        params = {"zone": zone, "emissionFactorType": "lifecycle"}
        history = self._ask("carbon-intensity/history", _History, params)
        made = [self._vintage(zone, history.history, None, start_ms, end_ms)]
        if end_ms > self._clock.now_ms():
            try:
                ahead = self._ask("carbon-intensity/forecast", _Forecast, params)
            except FeedKeyRefused:
                pass  # not in the plan
            else:
                made.append(self._vintage(zone, ahead.forecast, ahead.updated_at, start_ms, end_ms))
        kept = [vintage for vintage in made if vintage.points]
        if not kept:
            raise FeedAnswerInvalid(self.name, f"the answer for {zone} holds no value")
        return kept

    def zone_at(self, latitude: float, longitude: float) -> str | None:
        """By the zone of the place's latest figure, whatever that is."""
        params = {"lat": f"{latitude:g}", "lon": f"{longitude:g}"}
        return normal_zone(self._ask("carbon-intensity/latest", _Latest, params).zone) or None

    def _ask(self, path: str, shape: type[Shape], params: Mapping[str, str]) -> Shape:
        url, headers = f"{self._base_url}/{path}", {"auth-token": self._key}
        return get_answer(self._http, self.name, url, shape, params, headers, self._key)

    def _vintage(
        self,
        zone: str,
        values: Sequence[_Value],
        published_at: str | None,
        start_ms: int,
        end_ms: int,
    ) -> Vintage:
        scopes = {value.emission_factor_type for value in values}
        if not scopes <= {"lifecycle"}:
            raise FeedAnswerInvalid(self.name, f"asked for lifecycle, got {', '.join(scopes)}")
        try:
            past = published_at is None
            points = [p for value in values if (p := _point(value, past))]
            stamps = [from_rfc3339(v.updated_at) for v in values if v.updated_at]
            if published_at:
                stamps = [from_rfc3339(published_at)]
        except ValueError as error:
            raise FeedAnswerInvalid(self.name, f"a value without a time: {error}") from None
        within = tuple(p for p in points if p.end_ms > start_ms and p.start_ms < end_ms)
        published_ms = max(stamps, default=self._clock.now_ms())
        return vintage_of(self, zone, published_ms, within)


def _point(value: _Value, is_past: bool) -> IntensityPoint | None:
    """An hour from `datetime` on; None where it has no value."""
    if value.carbon_intensity is None:
        return None
    measured = PointKind.ESTIMATED if value.is_estimated else PointKind.ACTUAL
    start_ms = from_rfc3339(value.datetime)
    kind = measured if is_past else PointKind.FORECAST
    return IntensityPoint(start_ms, start_ms + MS_PER_HOUR, value.carbon_intensity, kind)
