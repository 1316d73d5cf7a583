"""Yearly grid intensity: the last step of every ladder, at hand without network or key.

One figure for a whole year says where a machine stands, not when the grid is clean: it prices
energy, and never shifts a job.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from carbon.domain.intensity import EmissionScope
from carbon.domain.yearly_table import (
    CA_PROVINCES,
    COUNTRIES,
    EGRID_SOURCE,
    OWID_SOURCE,
    PROVINCES_SOURCE,
    US_STATES,
    WORLD_G_PER_KWH,
    WORLD_YEAR,
)
from carbon.errors import NotFound

#: The zone of a machine that stands nobody knows where.
WORLD: Final = "WORLD"

#: Codes that others use for a country whose ISO 3166 code differs.
_ALIASES: Final = {"UK": "GB", "EL": "GR"}


@dataclass(frozen=True, slots=True)
class YearlyFigure:
    """gCO2e per kWh of a zone in one year."""

    #: The zone that was asked for, in capitals; the figure may be its country's.
    zone: str
    g_per_kwh: float
    year: int
    source: str
    scope: EmissionScope = EmissionScope.LIFECYCLE
    #: The world's mean: nothing nearer was asked for.
    is_world: bool = False
    #: The figure is of this very zone, and not of the country around it.
    exact: bool = True

    @property
    def flags(self) -> tuple[str, ...]:
        """What is to be shown with the figure."""
        if self.is_world:
            return ("yearly_figure", "world_figure")
        return ("yearly_figure",) if self.exact else ("yearly_figure", "country_figure")


def yearly_intensity(zone: str | None, scope: EmissionScope | None = None) -> YearlyFigure:
    """The bundled figure for a zone: `DE`, `CA-ON`, `US-TX`, or anything inside a country.

    A zone inside a country (`NO-NO2`, `US-CAL-CISO`) takes the figure of the country where it
    has none of its own, `exact` false. So does a US state, whose own figure is direct, when
    the life-cycle scope is asked for. None and `WORLD` give the world's mean. With a scope,
    what has none of that scope is not found.

    Raises NotFound `unknown_zone` with `near`: codes that may have been meant.
    """
    name = normal_zone(zone) if zone else WORLD
    country = country_of(name)
    for candidate, exact in ((name, True), (country, country == name)):
        figure = _FIGURES.get(candidate)
        if figure and scope in (None, figure.scope):
            return replace(figure, zone=name, exact=exact)
    raise NotFound("unknown_zone", _unknown(name, scope), zone=name, near=near_zones(name))


def normal_zone(zone: str) -> str:
    """A zone as the ledger writes it: capitals, no blanks, the ISO code of its country."""
    country, dash, rest = zone.strip().upper().partition("-")
    return _ALIASES.get(country, country) + dash + rest


def country_of(zone: str) -> str:
    """The country that a zone lies in: `NO` of `NO-NO2`."""
    return zone.partition("-")[0]


def zone_named(name: str | None) -> str | None:
    """The zone whose bundled figure goes by exactly this name, such as `France`."""
    return _ZONE_BY_NAME.get(name.casefold()) if name else None


def near_zones(text: str) -> list[str]:
    """Up to three codes whose code or name resembles `text`, best first."""
    sought = text.casefold()
    names = {name.casefold(): code for code, name in ZONE_NAMES.items()}
    codes = {code.casefold(): code for code in ZONE_NAMES}
    if sought in names:
        return [names[sought]]
    pool = names if len(sought) > 3 else codes
    return [pool[match] for match in get_close_matches(sought, pool, n=3, cutoff=0.5)]


def _unknown(zone: str, scope: EmissionScope | None) -> str:
    if zone in _FIGURES and scope:
        return f"no bundled {scope} figure for zone {zone}; ask for {_FIGURES[zone].scope}"
    near = ", ".join(f"{code} ({ZONE_NAMES[code]})" for code in near_zones(zone))
    mend = f"did you mean {near}?" if near else "write an ISO 3166 code such as DE, or WORLD"
    return f"no figure for zone {zone!r}: {mend}"


def _rows(table: str) -> Iterator[tuple[str, str, float, int]]:
    for line in table.splitlines():
        code, name, g_per_kwh, year = line.split("|")
        yield code, name, float(g_per_kwh), int(year)


def _read_tables() -> tuple[dict[str, YearlyFigure], dict[str, str]]:
    world = YearlyFigure(WORLD, WORLD_G_PER_KWH, WORLD_YEAR, OWID_SOURCE, is_world=True)
    figures, names = {WORLD: world}, {WORLD: "World"}
    for table, source, scope in (
        (COUNTRIES, OWID_SOURCE, EmissionScope.LIFECYCLE),
        (US_STATES, EGRID_SOURCE, EmissionScope.DIRECT),
        (CA_PROVINCES, PROVINCES_SOURCE, EmissionScope.LIFECYCLE),
    ):
        for code, name, g_per_kwh, year in _rows(table):
            figures[code] = YearlyFigure(code, g_per_kwh, year, source, scope)
            names[code] = name
    return figures, names


_FIGURES, ZONE_NAMES = _read_tables()
_ZONE_BY_NAME: Final = {name.casefold(): code for code, name in ZONE_NAMES.items()}
