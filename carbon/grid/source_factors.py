"""gCO2e per kWh by kind of plant, in named and dated sets: they differ by a fifth on coal.

From a set and a generation mix comes an intensity; each vintage made so names its set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from carbon.domain.intensity import EmissionScope


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


@dataclass(frozen=True, slots=True)
class SourceFactors:
    """A published set. A fuel that it lacks has no figure here, and never 0."""

    version: str
    scope: EmissionScope
    g_per_kwh: Mapping[Fuel, float]
    source: str

    @property
    def flag(self) -> str:
        return f"factors_{self.version}"


IPCC_AR5: Final = SourceFactors(
    "ipcc_ar5_2014",
    EmissionScope.LIFECYCLE,
    MappingProxyType(
        {
            Fuel.COAL: 820.0,
            Fuel.GAS: 490.0,
            Fuel.BIOMASS: 230.0,
            Fuel.SOLAR: 48.0,
            Fuel.GEOTHERMAL: 38.0,
            Fuel.HYDRO: 24.0,
            Fuel.NUCLEAR: 12.0,
            Fuel.WIND_OFFSHORE: 12.0,
            Fuel.WIND: 11.0,
            Fuel.OIL: 840.0,
        }
    ),
    "IPCC AR5 WG III (2014), Annex III, table A.III.2, medians; oil, which it lacks, from the "
    "IPCC SRREN (2011), annex II, median",
)

IPCC_SRREN: Final = SourceFactors(
    "ipcc_srren_2011",
    EmissionScope.LIFECYCLE,
    MappingProxyType(
        {
            Fuel.COAL: 1001.0,
            Fuel.OIL: 840.0,
            Fuel.GAS: 469.0,
            Fuel.SOLAR: 46.0,
            Fuel.GEOTHERMAL: 45.0,
            Fuel.BIOMASS: 18.0,
            Fuel.NUCLEAR: 16.0,
            Fuel.WIND: 12.0,
            Fuel.WIND_OFFSHORE: 12.0,
            Fuel.HYDRO: 4.0,
        }
    ),
    "IPCC SRREN (2011), annex II, table A.II.4, medians",
)

SETS: Final = MappingProxyType({made.version: made for made in (IPCC_AR5, IPCC_SRREN)})
