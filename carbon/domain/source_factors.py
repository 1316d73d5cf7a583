"""What a kWh emits by kind of plant: published sets, which differ by a fifth on coal.

Each figure is a factor like any other, `intensity/coal@ipcc_ar5_2014`: listed, superseded and never
edited. A set is known by its name; a site that wants another records its figures under a name of
its own (`carbon factors record`) and sets CARBON_SOURCE_FACTORS.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from carbon.domain.factor import Factor, FactorKind, Tier, Unit


class Fuel(StrEnum):
    """What a plant runs on."""

    BIOMASS = "biomass"
    COAL = "coal"
    GAS = "gas"
    GEOTHERMAL = "geothermal"
    HYDRO = "hydro"
    NUCLEAR = "nuclear"
    OIL = "oil"
    SOLAR = "solar"
    WIND = "wind"
    WIND_OFFSHORE = "wind_offshore"
    #: Gives back what was generated before: counted where it was generated.
    STORAGE = "storage"
    #: A plant of which the source does not say what it burns.
    OTHER = "other"


AR5: Final = "ipcc_ar5_2014"
SRREN: Final = "ipcc_srren_2011"
#: The set that stands where a site names none.
DEFAULT_SET: Final = AR5

_AR5_TABLE: Final = "IPCC AR5 WG III (2014), Annex III, table A.III.2, life cycle"
_SRREN_TABLE: Final = "IPCC SRREN (2011), Annex II, table A.II.4, life cycle"

#: Fuel, median, lowest and highest of the literature, gCO2e/kWh.
_AR5_FIGURES: Final = """
coal 820 740 910
gas 490 410 650
biomass 230 130 420
solar 48 18 180
geothermal 38 6 79
hydro 24 1 2200
nuclear 12 3.7 110
wind 11 7 56
wind_offshore 12 8 35
"""
#: Its lowest figure of biomass is negative (-633), and a factor's bound cannot be.
_SRREN_FIGURES: Final = """
coal 1001 675 1689
oil 840 510 1170
gas 469 290 930
biomass 18 0 75
solar 46 5 217
geothermal 45 6 79
hydro 4 0 43
nuclear 16 1 220
wind 12 2 81
wind_offshore 12 2 81
"""


def _set(name: str, table: str, figures: str) -> Iterator[Factor]:
    for line in figures.split("\n"):
        if line:
            fuel, value, low, high = line.split()
            yield _factor(name, Fuel(fuel), table, (float(value), float(low), float(high)))


def _factor(
    name: str, fuel: Fuel, table: str, figures: tuple[float, float, float], note: str = ""
) -> Factor:
    value, low, high = figures
    return Factor(
        id=f"intensity/{fuel}@{name}",
        kind=FactorKind.INTENSITY,
        subject=str(fuel),
        name=name,
        value=value,
        unit=Unit.G_PER_KWH,
        low=low,
        high=high,
        source=table,
        licence="a single figure, cited",
        vintage=name.rpartition("_")[2],
        tier=Tier.GENERIC,
        note=note or "Median; the bounds are the lowest and the highest of the literature.",
    )


SOURCE_FACTORS: Final = (
    *_set(AR5, _AR5_TABLE, _AR5_FIGURES),
    _factor(
        AR5,
        Fuel.OIL,
        _SRREN_TABLE,
        (840.0, 510.0, 1170.0),
        "AR5 states none; this is the one of 2011.",
    ),
    *_set(SRREN, _SRREN_TABLE, _SRREN_FIGURES),
)
