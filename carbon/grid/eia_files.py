"""The United States without a key: EIA's hourly grid monitor as files, one for each half-year.

The running half-year's file grows once a day and holds every authority in some 45 MB, so that
what is read of it serves all zones until it is due again, and is asked for only if it changed.
It lags by a day where the API (`eia`, with a free key) lags by two hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx2

from carbon.clock import Clock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR
from carbon.grid.answer import read_lines
from carbon.grid.eia import Eia
from carbon.grid.eia_balance import Authority, BalanceUnreadable, read_balance, together
from carbon.grid.eia_zones import AUTHORITIES, COUNTRY, ZONES, authority_of, rated_as
from carbon.grid.feed import FeedAnswerInvalid, vintage_of
from carbon.grid.generation_mix import mix_points
from carbon.grid.source_factors import IPCC_AR5, Fuel, Sets, SourceFactors

BASE_URL = "https://www.eia.gov/electricity/gridmonitor/sixMonthFiles"
#: What is kept of a file: as far back as anybody asks.
KEPT_MS = 32 * MS_PER_DAY
_CODES = tuple(authority_of(zone) for zone in AUTHORITIES)
_FUELS = {str(fuel): fuel for fuel in Fuel}


@dataclass(frozen=True, slots=True)
class _Read:
    """One file as it was when it was asked for last."""

    at_ms: int
    #: The header by which to ask whether it changed; empty where the file has none.
    mark: tuple[str, str] | None
    authorities: dict[str, Authority]


class EiaFiles:
    name = "eia_files"
    licence = Eia.licence
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    #: The file grows once a day, at no promised hour.
    period_ms = 6 * MS_PER_HOUR
    horizon_ms = 0

    def __init__(
        self,
        http: httpx2.Client,
        clock: Clock,
        base_url: str = BASE_URL,
        factors: Sets = lambda: IPCC_AR5,
    ) -> None:
        self._http, self._clock = http, clock
        self._base_url, self._factors = base_url.rstrip("/"), factors
        self._held: dict[str, _Read] = {}

    def zones(self) -> Sequence[str]:
        return ZONES

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One vintage, published now, of the hours of which every regular fuel is known."""
        now_ms, factors = self._clock.now_ms(), self._factors()
        points = [
            point
            for name in _files_of(start_ms, min(end_ms, now_ms))
            for point in self._points(name, zone, factors)
            if point.end_ms > start_ms and point.start_ms < end_ms
        ]
        if not points:
            raise FeedAnswerInvalid(self.name, f"no hour of {zone} has a whole mix")
        points, flags = rated_as(zone, points)
        return [vintage_of(self, zone, now_ms, points, (factors.flag, "production_mix", *flags))]

    def _points(self, name: str, zone: str, factors: SourceFactors) -> Iterator[IntensityPoint]:
        authorities = self._file(name)
        if zone == COUNTRY:
            told = together(authorities)
        else:
            told = authorities.get(authority_of(zone), Authority())
        outputs = {str(fuel): outs for fuel, outs in told.outputs().items()}
        for point in mix_points(outputs, _FUELS, factors):
            is_filled = point.end_ms in told.imputed
            yield replace(point, kind=PointKind.ESTIMATED) if is_filled else point

    def _file(self, name: str) -> dict[str, Authority]:
        now_ms = self._clock.now_ms()
        held = self._held.get(name)
        if held and now_ms < held.at_ms + self.period_ms * 9 // 10:
            return held.authorities
        self._held[name] = self._asked(name, held, now_ms)
        for old in [other for other, read in self._held.items() if read.at_ms < now_ms - KEPT_MS]:
            del self._held[old]
        return self._held[name].authorities

    def _asked(self, name: str, held: _Read | None, now_ms: int) -> _Read:
        def read(lines: Iterator[str]) -> dict[str, Authority]:
            try:
                return read_balance(lines, now_ms - KEPT_MS, _CODES)
            except BalanceUnreadable as error:
                raise FeedAnswerInvalid(self.name, f"{name}: {error}") from None

        url = f"{self._base_url}/{name}"
        told = read_lines(self._http, self.name, url, read, held.mark if held else None)
        if told is None:
            # Unchanged, or, in the first days of a half-year, not there yet.
            return replace(held, at_ms=now_ms) if held else _Read(now_ms, None, {})
        return _Read(now_ms, told.mark, told.made)


def _files_of(start_ms: int, end_ms: int) -> list[str]:
    """The half-years that hours of [start, end) may stand in, by the dates of the authorities'
    own clocks: up to twelve hours behind ours."""
    names = []
    for ms in (start_ms - MS_PER_DAY // 2, end_ms - MS_PER_DAY // 2, end_ms):
        moment = datetime.fromtimestamp(ms / 1000, UTC)
        half = "Jan_Jun" if moment.month <= 6 else "Jul_Dec"
        names.append(f"EIA930_BALANCE_{moment.year}_{half}.csv")
    return list(dict.fromkeys(names))
