"""The typical hours of a zone by month: what moves a job where nothing else is known.

No measurement is behind it. A model of one day a month: people use power by day and most in
the evening, the sun shines by latitude and longitude, wind and nuclear plants run level, and
water and fuels follow what is left. Its mean over the year is the zone's bundled yearly figure.

It says when a grid tends to be clean, so that it may move a job; what a job really saved is told
by measurements alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import cos, pi, radians, sin
from typing import Final

from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind
from carbon.domain.typical_table import MIXES
from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.domain.yearly import country_of, normal_zone, yearly_intensity
from carbon.errors import NotFound

TYPICAL: Final = "typical"

#: Demand by the hour of the sun, against the day's mean.
# fmt: off
_DEMAND: Final = (
    0.81, 0.77, 0.75, 0.75, 0.77, 0.83, 0.93, 1.03, 1.07, 1.08, 1.08, 1.08,
    1.07, 1.05, 1.04, 1.05, 1.08, 1.14, 1.18, 1.17, 1.12, 1.05, 0.97, 0.88,
)
# fmt: on
#: Of plants that burn fuel, and of all others, life-cycle: only their ratio matters.
_FUEL_G: Final = 700.0
_OTHER_G: Final = 20.0
#: Plants that follow demand never fall below this share of their mean.
_LEAST_FOLLOWING: Final = 0.25
_MONTHS: Final = 12
_HOURS: Final = 24
#: Day of the year in the middle of each month.
_MID_MONTH: Final = tuple(round(15 + 30.44 * month) for month in range(_MONTHS))

#: Where the zones lie whose country reaches far, by the longest beginning that fits.
_PLACES: Final = {
    "AU-NSW": (-34, 151), "AU-QLD": (-27, 153), "AU-SA": (-35, 139), "AU-TAS": (-43, 147),
    "AU-VIC": (-38, 145), "AU-WA": (-32, 116), "AU-NT": (-12, 131),
    "BR-NE": (-9, -38), "BR-N": (-3, -60), "RU-2": (55, 83), "RU-AS": (48, 135),
    "ES-CN": (28, -15), "PT-AC": (38, -26), "US-AK": (61, -150), "US-HI": (21, -158),
    "US-CAL": (36, -119), "US-CA": (36, -119), "US-NW": (44, -117), "US-WA": (47, -121),
    "US-OR": (45, -122), "US-SW": (34, -111), "US-AZ": (34, -111), "US-NV": (38, -117),
    "US-TEX": (31, -98), "US-TX": (31, -98), "US-FLA": (28, -82), "US-FL": (28, -82),
    "US-CAR": (35, -80), "US-NE": (43, -72), "US-NY": (42, -75), "US-MIDA": (40, -78),
    "US-SE": (33, -85), "US-TEN": (36, -86), "US-CENT": (37, -97), "US-MIDW": (42, -89),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Mix:
    """Shares of a year's generation, 0 to 1, and where the zone lies in degrees."""

    latitude: float
    longitude: float
    solar: float
    hydro: float
    fossil: float


def has_typical(zone: str) -> bool:
    """Whether anything is known of the zone's mix; not of the world's."""
    return _mix(normal_zone(zone)) is not None


def typical_points(
    zone: str, start_ms: int, end_ms: int, scope: EmissionScope | None = None
) -> list[IntensityPoint]:
    """TYPICAL points of the hours that reach into [start, end), g/kWh; none of an unknown zone."""
    first_ms = floor_to(start_ms, MS_PER_HOUR)
    try:
        by_month = _shape(normal_zone(zone), scope)
    except NotFound:
        return []
    return [
        IntensityPoint(at_ms, at_ms + MS_PER_HOUR, _at(by_month, at_ms), PointKind.TYPICAL)
        for at_ms in range(first_ms, end_ms, MS_PER_HOUR)
    ]


def _at(by_month: tuple[tuple[float, ...], ...], at_ms: int) -> float:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return by_month[moment.month - 1][moment.hour]


@lru_cache(maxsize=1_024)
def _shape(zone: str, scope: EmissionScope | None) -> tuple[tuple[float, ...], ...]:
    """g/kWh by month and hour of UTC. Raises NotFound `unknown_zone`."""
    figure = yearly_intensity(zone, scope)
    mix = _mix(zone)
    if mix is None:
        raise NotFound("unknown_zone", f"nothing is known of the mix of {zone}")
    months = [[_relative(mix, sun, hour) for hour, sun in enumerate(day)] for day in _suns(mix)]
    mean = sum(map(sum, months)) / (_MONTHS * _HOURS)
    return tuple(
        tuple(round(figure.g_per_kwh * value / mean, 1) for value in day) for day in months
    )


def _relative(mix: _Mix, sun: float, hour: int) -> float:
    """Grams per unit of demand in one hour of UTC; `sun` against its mean of the year."""
    demand = _DEMAND[round(hour + mix.longitude / 15) % _HOURS]
    following = mix.fossil + mix.hydro
    level = 1 - mix.solar - following
    left = max(demand - level - mix.solar * sun, _LEAST_FOLLOWING * following)
    fuel = left * mix.fossil / following if following else 0.0
    return (fuel * _FUEL_G + max(demand - fuel, 0.0) * _OTHER_G) / demand


def _suns(mix: _Mix) -> list[list[float]]:
    """The sun's strength by month and hour of UTC; its mean over the year is 1."""
    days = [[_height(mix, day, hour + 0.5) for hour in range(_HOURS)] for day in _MID_MONTH]
    mean = sum(map(sum, days)) / (_MONTHS * _HOURS)
    return [[height / mean for height in day] for day in days]


def _height(mix: _Mix, day: int, utc_hour: float) -> float:
    """Sine of the sun's elevation; 0 by night."""
    latitude = radians(mix.latitude)
    declination = radians(-23.44) * cos(2 * pi * (day + 10) / 365)
    turned = radians(15 * (utc_hour - 12) + mix.longitude)
    flat = cos(latitude) * cos(declination) * cos(turned)
    return max(0.0, sin(latitude) * sin(declination) + flat)


def _mix(zone: str) -> _Mix | None:
    found = _MIXES.get(zone) or _MIXES.get(country_of(zone))
    if found is None:
        return None
    place = max((name for name in _PLACES if zone.startswith(name)), key=len, default=None)
    if place is None:
        return found
    return _Mix(*_PLACES[place], found.solar, found.hydro, found.fossil)


def _rows() -> Iterator[tuple[str, _Mix]]:
    for line in MIXES.splitlines():
        code, *numbers = line.split("|")
        latitude, longitude, solar, _wind, hydro, fossil = map(float, numbers)
        yield code, _Mix(latitude, longitude, solar / 100, hydro / 100, fossil / 100)


_MIXES: Final = dict(_rows())
