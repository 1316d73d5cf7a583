"""France, from RTE's eCO2mix on the open-data portal ODRÉ. No key.

Quarter-hours of the last weeks: `taux_co2` in g/kWh of the production, combustion alone. No
forecast of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import httpx2
import msgspec

from carbon.clock import Clock, from_rfc3339, to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.grid.answer import get_answer
from carbon.grid.feed import FeedAnswerInvalid, Licence, vintage_of

BASE_URL = "https://odre.opendatasoft.com"
PATH = "api/explore/v2.1/catalog/datasets/eco2mix-national-tr/records"
ZONE = "FR"
STEP_MS = 900_000
PAGE_ROWS = 100
MOST_PAGES = 50


class _Row(msgspec.Struct, frozen=True):
    date_heure: str
    taux_co2: float | None = None


class _Answer(msgspec.Struct, frozen=True):
    total_count: int
    results: list[_Row]


class Rte:
    name = "rte"
    licence = Licence(
        "Etalab 2.0",
        "https://www.etalab.gouv.fr/licence-ouverte-open-licence/",
        "Carbon intensity of France: RTE, eCO2mix, Licence Ouverte 2.0",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    signal = Signal.AVERAGE
    scope = EmissionScope.DIRECT
    period_ms = STEP_MS
    horizon_ms = 0

    def __init__(self, http: httpx2.Client, clock: Clock, base_url: str = BASE_URL) -> None:
        self._http, self._clock = http, clock
        self._base_url = base_url.rstrip("/")

    def zones(self) -> Sequence[str]:
        return (ZONE,)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One vintage, published now."""
        now_ms = self._clock.now_ms()
        values: dict[int, float] = {}
        for row in self._rows(start_ms):
            try:
                at_ms = from_rfc3339(row.date_heure)
            except ValueError as error:
                raise FeedAnswerInvalid(self.name, f"a row without a time: {error}") from None
            if row.taux_co2 is not None and start_ms - STEP_MS < at_ms < end_ms:
                values[at_ms] = row.taux_co2
        if not values:
            raise FeedAnswerInvalid(self.name, "the answer holds no value")
        return [vintage_of(self, ZONE, now_ms, _points(values))]

    def _rows(self, start_ms: int) -> list[_Row]:
        """The newest first, page by page, until one reaches behind `start_ms`."""
        rows: list[_Row] = []
        since = to_rfc3339(start_ms)
        for page in range(MOST_PAGES):
            params = {
                "where": f"taux_co2 is not null and date_heure >= date'{since}'",
                "order_by": "date_heure desc",
                "limit": str(PAGE_ROWS),
                "offset": str(page * PAGE_ROWS),
            }
            answer = get_answer(self._http, self.name, f"{self._base_url}/{PATH}", _Answer, params)
            rows += answer.results
            if len(rows) >= answer.total_count or not answer.results:
                break
        return rows


def _points(values: dict[int, float]) -> list[IntensityPoint]:
    """Each lasts a quarter-hour, or two where the source leaves every second one out."""
    starts_ms = sorted(values)
    ends_ms = [
        later if later - start == 2 * STEP_MS else start + STEP_MS
        for start, later in pairwise(starts_ms)
    ]
    ends_ms.append(starts_ms[-1] + STEP_MS)
    return [
        IntensityPoint(start, end, values[start], PointKind.ACTUAL)
        for start, end in zip(starts_ms, ends_ms, strict=True)
    ]
