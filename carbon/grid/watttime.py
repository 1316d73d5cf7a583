"""Marginal intensity (MOER) of WattTime, API v3, with the deployment's own account.

Five-minute values in lb CO2 per MWh, converted here; combustion alone. A login gives a token
for 30 minutes; one that ends in the middle of a fetch is replaced once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import httpx2
import msgspec

from carbon.clock import Clock, from_rfc3339, to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_HOUR, MS_PER_S
from carbon.grid.answer import Shape, get_answer, get_content
from carbon.grid.feed import FeedAnswerInvalid, FeedKeyRefused, Licence

BASE_URL = "https://api.watttime.org"
#: lb/MWh to g/kWh: the international pound is exactly 453.59237 g.
G_PER_KWH_OF_LB_PER_MWH = 0.45359237
UNIT = "lbs_co2_per_mwh"
STEP_MS = 300_000
TOKEN_MS = 25 * 60 * MS_PER_S
HORIZON_H = 72


class _Token(msgspec.Struct, frozen=True):
    token: str


class _Value(msgspec.Struct, frozen=True):
    point_time: str
    value: float | None = None


class _Meta(msgspec.Struct, frozen=True):
    region: str
    signal_type: str
    units: str
    data_point_period_seconds: int = STEP_MS // MS_PER_S
    generated_at: str | None = None


class _Answer(msgspec.Struct, frozen=True):
    data: list[_Value]
    meta: _Meta


class _Region(msgspec.Struct, frozen=True):
    region: str


class WattTime:
    name = "watttime"
    licence = Licence(
        "WattTime terms of service",
        "https://watttime.org/terms-of-service/",
        "Marginal emissions: WattTime",
        may_store=True,
        may_redistribute=False,
        commercial=False,
    )
    signal = Signal.MARGINAL
    scope = EmissionScope.DIRECT
    period_ms = STEP_MS
    horizon_ms = HORIZON_H * MS_PER_HOUR

    def __init__(
        self,
        http: httpx2.Client,
        clock: Clock,
        username: str,
        password: str,
        regions: Mapping[str, str],
        base_url: str = BASE_URL,
    ) -> None:
        """`regions`: WattTime's own region by zone, as `{"US-CAL-CISO": "CAISO_NORTH"}`."""
        self._http, self._clock = http, clock
        self._login = (username, password)
        self._regions = dict(regions)
        self._base_url = base_url.rstrip("/")
        self._token, self._token_ends_ms = "", 0

    def zones(self) -> Sequence[str]:
        return tuple(self._regions)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """The measured past and the forecast, apart, each by its time of publication."""
        now_ms, made = self._clock.now_ms(), []
        if start_ms < now_ms:
            span = {"start": to_rfc3339(start_ms), "end": to_rfc3339(min(end_ms, now_ms))}
            made.append(self._vintage(zone, "historical", span, PointKind.ACTUAL))
        if end_ms > now_ms:
            hours = min(HORIZON_H, -(-(end_ms - now_ms) // MS_PER_HOUR))
            span = {"horizon_hours": str(hours)}
            made.append(self._vintage(zone, "forecast", span, PointKind.FORECAST))
        kept = [vintage for vintage in made if vintage.points]
        if not kept:
            raise FeedAnswerInvalid(self.name, f"the answer for {zone} holds no value")
        return kept

    def _vintage(self, zone: str, path: str, span: Mapping[str, str], kind: PointKind) -> Vintage:
        region = self._regions[zone]
        answer = self._ask(path, {"region": region, "signal_type": "co2_moer", **span}, _Answer)
        if answer.meta.units != UNIT:
            told = f"asked for {UNIT}, got {answer.meta.units!r}"
            raise FeedAnswerInvalid(self.name, told)
        step_ms = answer.meta.data_point_period_seconds * MS_PER_S
        try:
            points = tuple(_point(v, step_ms, kind) for v in answer.data if v.value is not None)
            stamp = answer.meta.generated_at
            published_ms = from_rfc3339(stamp) if stamp else self._clock.now_ms()
        except ValueError as error:
            raise FeedAnswerInvalid(self.name, f"a value without a time: {error}") from None
        attribution = self.licence.attribution
        return Vintage(zone, self.name, self.signal, self.scope, published_ms, points, attribution)

    def zone_at(self, latitude: float, longitude: float) -> str | None:
        """Of the zones that it was given a region for."""
        place = {"latitude": f"{latitude:g}", "longitude": f"{longitude:g}"}
        region = self._ask("region-from-loc", place | {"signal_type": "co2_moer"}, _Region).region
        named = (zone for zone, told in self._regions.items() if told == region)
        return next(named, None)

    def _ask(self, path: str, params: Mapping[str, str], shape: type[Shape]) -> Shape:
        try:
            return self._ask_once(path, params, shape)
        except FeedKeyRefused:
            self._token_ends_ms = 0
            return self._ask_once(path, params, shape)

    def _ask_once(self, path: str, params: Mapping[str, str], shape: type[Shape]) -> Shape:
        token = self._valid_token()
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self._base_url}/v3/{path}"
        return get_answer(self._http, self.name, url, shape, params, headers, token)

    def _valid_token(self) -> str:
        now_ms = self._clock.now_ms()
        if now_ms >= self._token_ends_ms:
            url = f"{self._base_url}/login"
            content = get_content(self._http, self.name, url, {}, auth=self._login)
            try:
                self._token = msgspec.json.decode(content, type=_Token).token
            except msgspec.MsgspecError:
                raise FeedAnswerInvalid(self.name, "the login gave no token") from None
            self._token_ends_ms = now_ms + TOKEN_MS
        return self._token


def _point(value: _Value, step_ms: int, kind: PointKind) -> IntensityPoint:
    start_ms = from_rfc3339(value.point_time)
    g_per_kwh = (value.value or 0.0) * G_PER_KWH_OF_LB_PER_MWH
    return IntensityPoint(start_ms, start_ms + step_ms, g_per_kwh, kind)
