"""Europe's bidding zones, from ENTSO-E's Transparency Platform, with a free token.

Actual generation per kind of plant, from a quarter-hour to an hour, about an hour late, and what
wind, sun and all plants are to generate up to the end of tomorrow. The intensity is that of the
zone's own production, by the factors of `source_factors`. Beside it the day-ahead prices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import httpx2

from carbon.clock import Clock
from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.domain.price import PricePoint
from carbon.domain.units import MS_PER_HOUR, ceil_to, floor_to
from carbon.grid.answer import get_content
from carbon.grid.entsoe_xml import ALL_PLANTS, XmlInvalid, read_generation, read_prices
from carbon.grid.feed import (
    CC_BY_4,
    CC_BY_4_URL,
    FeedAnswerInvalid,
    FeedUnreachable,
    Licence,
    vintage_of,
)
from carbon.grid.generation_forecast import forecast_points
from carbon.grid.generation_mix import Output, mix_points
from carbon.grid.source_factors import IPCC_AR5, Fuel, Sets, SourceFactors

BASE_URL = "https://web-api.tp.entsoe.eu/api"

FUELS = {
    "B01": Fuel.BIOMASS,
    "B02": Fuel.COAL,  # lignite
    "B03": Fuel.GAS,  # gas made of coal
    "B04": Fuel.GAS,
    "B05": Fuel.COAL,
    "B06": Fuel.OIL,
    "B07": Fuel.OIL,  # oil shale
    "B08": Fuel.COAL,  # peat
    "B09": Fuel.GEOTHERMAL,
    "B10": Fuel.STORAGE,  # pumped
    "B11": Fuel.HYDRO,
    "B12": Fuel.HYDRO,
    "B14": Fuel.NUCLEAR,
    "B16": Fuel.SOLAR,
    "B18": Fuel.WIND_OFFSHORE,
    "B19": Fuel.WIND,
    "B25": Fuel.STORAGE,
}

#: EIC code of the bidding zone or control area, by zone.
AREAS = {
    "AT": "10YAT-APG------L",
    "BE": "10YBE----------2",
    "BG": "10YCA-BULGARIA-R",
    "CH": "10YCH-SWISSGRIDZ",
    "CZ": "10YCZ-CEPS-----N",
    "DE": "10Y1001A1001A83F",
    "DK-DK1": "10YDK-1--------W",
    "DK-DK2": "10YDK-2--------M",
    "EE": "10Y1001A1001A39I",
    "ES": "10YES-REE------0",
    "FI": "10YFI-1--------U",
    "FR": "10YFR-RTE------C",
    "GR": "10YGR-HTSO-----Y",
    "HR": "10YHR-HEP------M",
    "HU": "10YHU-MAVIR----U",
    "IE": "10YIE-1001A00010",
    "LT": "10YLT-1001A0008Q",
    "LV": "10YLV-1001A00074",
    "NL": "10YNL----------L",
    "NO-NO1": "10YNO-1--------2",
    "NO-NO2": "10YNO-2--------T",
    "NO-NO3": "10YNO-3--------J",
    "NO-NO4": "10YNO-4--------9",
    "NO-NO5": "10Y1001A1001A48H",
    "PL": "10YPL-AREA-----S",
    "PT": "10YPT-REN------W",
    "RO": "10YRO-TEL------P",
    "RS": "10YCS-SERBIATSOV",
    "SE-SE1": "10Y1001A1001A44P",
    "SE-SE2": "10Y1001A1001A45N",
    "SE-SE3": "10Y1001A1001A46L",
    "SE-SE4": "10Y1001A1001A47J",
    "SI": "10YSI-ELES-----O",
    "SK": "10YSK-SEPS-----K",
}

#: Where prices are made for an area of another code.
PRICE_AREAS = {"DE": "10Y1001A1001A82H", "IE": "10Y1001A1001A59C"}
#: Up to the end of tomorrow is published, early in the evening.
AHEAD_MS = 48 * MS_PER_HOUR


class Entsoe:
    name = "entsoe"
    licence = Licence(
        CC_BY_4,
        CC_BY_4_URL,
        "Generation: ENTSO-E Transparency Platform, CC BY 4.0",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    period_ms = MS_PER_HOUR // 4
    #: It foretells, but not every zone.
    horizon_ms = 0

    def __init__(
        self,
        http: httpx2.Client,
        clock: Clock,
        token: str,
        base_url: str = BASE_URL,
        factors: Sets = lambda: IPCC_AR5,
    ) -> None:
        self._http, self._clock, self._token = http, clock, token
        self._base_url, self._factors = base_url, factors

    def zones(self) -> Sequence[str]:
        return tuple(AREAS)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """Published now: the times of which every regular kind is known, and what is foretold."""
        now_ms, factors = self._clock.now_ms(), self._factors()
        lo, hi = floor_to(start_ms, MS_PER_HOUR), ceil_to(min(end_ms, now_ms), MS_PER_HOUR)
        outputs = self._generation(zone, "A75", "A16", lo, hi)
        points = mix_points(outputs, FUELS, factors)
        if not points:
            raise FeedAnswerInvalid(self.name, f"no time of {zone} has a whole mix yet")
        flags = (factors.flag, "production_mix")
        said = [self._vintage(zone, now_ms, points, flags)]
        if end_ms > now_ms and (ahead := self._ahead(zone, outputs, factors, now_ms)):
            said.append(self._vintage(zone, now_ms, ahead, (*flags, "from_generation_forecast")))
        return said

    def fetch_prices(self, zone: str, start_ms: int, end_ms: int) -> list[PricePoint]:
        """Day-ahead prices of [start, end), tomorrow's from about noon on. Raises a FeedError."""
        area = PRICE_AREAS.get(zone, AREAS[zone])
        params = {"documentType": "A44", "in_Domain": area, "out_Domain": area}
        content = self._ask(params, start_ms, end_ms)
        try:
            return read_prices(content)
        except XmlInvalid as error:
            raise FeedAnswerInvalid(self.name, f"prices of {zone}: {error}") from None

    def _ahead(
        self,
        zone: str,
        outputs: Mapping[str, Sequence[Output]],
        factors: SourceFactors,
        now_ms: int,
    ) -> list[IntensityPoint]:
        """None where it foretells nothing, or not now: what was measured counts without."""
        lo, hi = floor_to(now_ms, MS_PER_HOUR), ceil_to(now_ms + AHEAD_MS, MS_PER_HOUR)
        try:
            weather = self._generation(zone, "A69", "A01", lo, hi)
            total = self._generation(zone, "A71", "A01", lo, hi).get(ALL_PLANTS, [])
        except (FeedAnswerInvalid, FeedUnreachable):
            return []
        return forecast_points(outputs, weather, total, FUELS, factors, now_ms)

    def _generation(
        self, zone: str, document: str, process: str, start_ms: int, end_ms: int
    ) -> Mapping[str, list[Output]]:
        params = {"documentType": document, "processType": process, "in_Domain": AREAS[zone]}
        try:
            return read_generation(self._ask(params, start_ms, end_ms))
        except XmlInvalid as error:
            raise FeedAnswerInvalid(self.name, f"{zone}: {error}") from None

    def _ask(self, params: Mapping[str, str], start_ms: int, end_ms: int) -> bytes:
        asked = {
            "securityToken": self._token,
            **params,
            "periodStart": _minute(floor_to(start_ms, MS_PER_HOUR)),
            "periodEnd": _minute(ceil_to(end_ms, MS_PER_HOUR)),
        }
        return get_content(self._http, self.name, self._base_url, asked, secret=self._token)

    def _vintage(
        self, zone: str, now_ms: int, points: Sequence[IntensityPoint], flags: tuple[str, ...]
    ) -> Vintage:
        return vintage_of(self, zone, now_ms, points, flags)


def _minute(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y%m%d%H%M")
