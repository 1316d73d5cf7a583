"""The balancing authorities of the United States: hourly generation by fuel, EIA API v2.

A key is free. The intensity is that of the authority's own production, by the factors of
`source_factors`. Values come as text, and an hour is named by its end. Storage and what is
called `other` have no factor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import httpx2
import msgspec

from carbon.clock import Clock
from carbon.domain.intensity import EmissionScope, Signal, Vintage
from carbon.domain.units import MS_PER_HOUR, ceil_to, floor_to
from carbon.grid.answer import get_answer
from carbon.grid.eia_zones import ZONES, authority_of, rated_as
from carbon.grid.feed import FeedAnswerInvalid, Licence, vintage_of
from carbon.grid.generation_mix import Output, mix_points
from carbon.grid.source_factors import IPCC_AR5, Fuel, Sets

BASE_URL = "https://api.eia.gov/v2"
PATH = "electricity/rto/fuel-type-data/data/"
PAGE_ROWS = 5_000
#: An answer of more pages than a few days can have is no answer.
MOST_PAGES = 20

FUELS = {
    "COL": Fuel.COAL,
    "NG": Fuel.GAS,
    "NUC": Fuel.NUCLEAR,
    "OIL": Fuel.OIL,
    "WAT": Fuel.HYDRO,
    "SUN": Fuel.SOLAR,
    "SNB": Fuel.SOLAR,
    "WND": Fuel.WIND,
    "WNB": Fuel.WIND,
    "GEO": Fuel.GEOTHERMAL,
    "BAT": Fuel.STORAGE,
    "PS": Fuel.STORAGE,
    "OES": Fuel.STORAGE,
    "UES": Fuel.STORAGE,
}


class _Row(msgspec.Struct, frozen=True):
    period: str
    respondent: str
    fueltype: str
    value: str | float | None = None


class _Response(msgspec.Struct, frozen=True):
    total: str | int
    data: list[_Row]


class _Answer(msgspec.Struct, frozen=True):
    response: _Response


class Eia:
    name = "eia"
    licence = Licence(
        "public domain",
        "https://www.eia.gov/about/copyrights_reuse.php",
        "Generation: U.S. Energy Information Administration",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    period_ms = MS_PER_HOUR
    #: A forecast of demand alone.
    horizon_ms = 0

    def __init__(
        self,
        http: httpx2.Client,
        clock: Clock,
        key: str,
        base_url: str = BASE_URL,
        factors: Sets = lambda: IPCC_AR5,
    ) -> None:
        self._http, self._clock, self._key = http, clock, key
        self._base_url, self._factors = base_url.rstrip("/"), factors

    def zones(self) -> Sequence[str]:
        return ZONES

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One vintage, published now, of the hours of which every regular fuel is known."""
        now_ms, factors = self._clock.now_ms(), self._factors()
        outputs: dict[str, list[Output]] = defaultdict(list)
        for row in self._rows(zone, start_ms, min(end_ms, now_ms)):
            if (output := _output(row)) is not None:
                outputs[row.fueltype].append(output)
        points = mix_points(outputs, FUELS, factors)
        if not points:
            raise FeedAnswerInvalid(self.name, f"no hour of {zone} has a whole mix")
        points, flags = rated_as(zone, points)
        return [vintage_of(self, zone, now_ms, points, (factors.flag, "production_mix", *flags))]

    def _rows(self, zone: str, start_ms: int, end_ms: int) -> Iterator[_Row]:
        params = {
            "api_key": self._key,
            "frequency": "hourly",
            "data[0]": "value",
            "facets[respondent][]": authority_of(zone),
            "start": _hour(floor_to(start_ms, MS_PER_HOUR) + MS_PER_HOUR),
            "end": _hour(ceil_to(end_ms, MS_PER_HOUR)),
            "sort[0][column]": "period",
            "sort[0][direction]": "asc",
            "length": str(PAGE_ROWS),
        }
        url = f"{self._base_url}/{PATH}"
        for page in range(MOST_PAGES):
            params["offset"] = str(page * PAGE_ROWS)
            response = get_answer(
                self._http, self.name, url, _Answer, params, secret=self._key
            ).response
            yield from response.data
            if len(response.data) < PAGE_ROWS:
                return
        raise FeedAnswerInvalid(self.name, f"more than {MOST_PAGES} pages for {zone}")


def _output(row: _Row) -> Output | None:
    """None for a row without a number."""
    try:
        end = datetime.strptime(row.period, "%Y-%m-%dT%H").replace(tzinfo=UTC)
        mw = float(row.value) if row.value is not None else None
    except ValueError:
        return None
    end_ms = round(end.timestamp() * 1000)
    return None if mw is None else Output(end_ms - MS_PER_HOUR, end_ms, mw)


def _hour(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H")
