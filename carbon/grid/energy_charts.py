"""Most of Europe, from the Energy-Charts API of Fraunhofer ISE. No key.

Steps of 15 minutes (an hour in some countries): today and the day-ahead forecast, or any span
of the past. CO2 equivalents per kWh of the production mix, average. The source does not state
the factors behind `co2eq` in its API; its values fit life-cycle factors and are filed as such.
The past is `co2eq`, the rest `co2eq_forecast`; `substitute` says that the figures are a guess
from earlier days, which is then only TYPICAL here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest

import httpx2
import msgspec

from carbon.clock import Clock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_HOUR, MS_PER_S
from carbon.grid.answer import get_answer
from carbon.grid.feed import CC_BY_4, CC_BY_4_URL, FeedAnswerInvalid, Licence, vintage_of

BASE_URL = "https://api.energy-charts.info"
STEP_MS = 900_000

#: The countries of its list that publish their production to ENTSO-E. Great Britain no longer
#: does; the groups `eu` and `all` are no zones. One without figures answers an error.
# fmt: off
ZONES = (
    "AT", "BA", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GE", "GR",
    "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MD", "ME", "MK", "NL", "NO", "PL", "PT", "RO",
    "RS", "SE", "SI", "SK", "XK",
)
# fmt: on


class _Answer(msgspec.Struct, frozen=True):
    """Arrays in step, g/kWh; at each moment at most one of the two has a value."""

    unix_seconds: list[int]
    co2eq: list[float | None]
    co2eq_forecast: list[float | None] = []
    substitute: bool = False


class EnergyCharts:
    name = "energy_charts"
    licence = Licence(
        CC_BY_4,
        CC_BY_4_URL,
        "Carbon intensity: Energy-Charts.info, Fraunhofer ISE, CC BY 4.0",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    period_ms = STEP_MS
    #: The day-ahead forecast ends with a local day, wherever that is from now.
    horizon_ms = 0

    def __init__(self, http: httpx2.Client, clock: Clock, base_url: str = BASE_URL) -> None:
        self._http = http
        self._clock = clock
        self._base_url = base_url.rstrip("/")

    def zones(self) -> Sequence[str]:
        return ZONES

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One vintage, published now: the API does not say when it computed a figure."""
        now_ms = self._clock.now_ms()
        points, substituted = self._ask_all(zone, start_ms, end_ms, now_ms)
        points = [p for p in points if p.end_ms > start_ms and p.start_ms < end_ms]
        if not points:
            raise FeedAnswerInvalid(self.name, f"the answer for {zone} holds no value")
        flags = ("substitute",) if substituted else ()
        return [vintage_of(self, zone, now_ms, points, flags)]

    def _ask_all(
        self, zone: str, start_ms: int, end_ms: int, now_ms: int
    ) -> tuple[list[IntensityPoint], bool]:
        """Without times the API tells of today and of what it foresees; the days before are
        asked for by their times, up to where that answer begins."""
        today: list[IntensityPoint] = []
        substituted, past_end_ms = False, end_ms
        if end_ms > now_ms:
            answer = self._ask(zone)
            today, substituted = list(_points(answer)), answer.substitute
            past_end_ms = min(answer.unix_seconds, default=end_ms // MS_PER_S) * MS_PER_S
        if past_end_ms <= start_ms:
            return today, substituted
        past = self._ask(zone, start_ms, past_end_ms)
        before = [p for p in _points(past) if p.start_ms < past_end_ms]
        return before + today, substituted or past.substitute

    def _ask(self, zone: str, *span_ms: int) -> _Answer:
        params = {"country": zone.lower()}
        for name, ms in zip(("start", "end"), span_ms, strict=False):
            params[name] = str(ms // MS_PER_S)
        answer = get_answer(self._http, self.name, f"{self._base_url}/co2eq", _Answer, params)
        lengths = {len(answer.co2eq), len(answer.co2eq_forecast) or len(answer.co2eq)}
        if lengths != {len(answer.unix_seconds)}:
            raise FeedAnswerInvalid(self.name, f"{zone}: times and values differ in number")
        return answer


def _points(answer: _Answer) -> Iterator[IntensityPoint]:
    starts_ms = [second * MS_PER_S for second in answer.unix_seconds]
    measured_kind = PointKind.TYPICAL if answer.substitute else PointKind.ACTUAL
    forecast_kind = PointKind.TYPICAL if answer.substitute else PointKind.FORECAST
    ends_ms = _ends(starts_ms)
    columns = zip_longest(starts_ms, ends_ms, answer.co2eq, answer.co2eq_forecast)
    for start_ms, end_ms, measured, foreseen in columns:
        if measured is not None:
            yield IntensityPoint(start_ms, end_ms, measured, measured_kind)
        elif foreseen is not None:
            yield IntensityPoint(start_ms, end_ms, foreseen, forecast_kind)


def _ends(starts_ms: Sequence[int]) -> list[int]:
    """Each point lasts the usual step, or until the next where that comes sooner."""
    steps = [later - earlier for earlier, later in pairwise(starts_ms)]
    usual = Counter(step for step in steps if 0 < step <= MS_PER_HOUR).most_common(1)
    step_ms = usual[0][0] if usual else STEP_MS
    return [
        start_ms + (step if 0 < step < step_ms else step_ms)
        for start_ms, step in zip_longest(starts_ms, steps, fillvalue=step_ms)
    ]
