"""Reporting frames as versioned data: which figure stands in which row of which standard.

A new edition is a new table beside the old one, so that what was reported stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Operated(StrEnum):
    """Who runs the machines: decides between scope 2 and scope 3."""

    OWN = "own"  #: own or leased data centre
    RENTED = "rented"  #: cloud or colocation bought as a service


class Quantity(StrEnum):
    ENERGY_MWH = "energy_mwh"
    LOCATION_T = "location_t"
    MARKET_T = "market_t"
    EMBODIED_T = "embodied_t"
    LOCATION_AND_EMBODIED_T = "location_and_embodied_t"
    CONTRACTED_PERCENT = "contracted_percent"
    #: The ledger cannot know it.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    code: str
    label: str
    quantity: Quantity
    unit: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    name: str
    version: str
    source: str
    rows: Mapping[Operated, tuple[Row, ...]]


_AMORTISED: Final = (
    "spread over the expected life, as SCI does; the standard books a purchase whole, in its year"
)
_RENTED: Final = "of a provider's machines use and hardware are both bought services"

GHG_PROTOCOL: Final = Frame(
    "ghg-protocol",
    "corporate-2004+scope2-2015+scope3-2011",
    "https://ghgprotocol.org/scope-2-guidance",
    {
        Operated.OWN: (
            Row("2-location", "Scope 2, location-based", Quantity.LOCATION_T, "tCO2e"),
            Row("2-market", "Scope 2, market-based", Quantity.MARKET_T, "tCO2e"),
            Row("3.2", "Scope 3, capital goods", Quantity.EMBODIED_T, "tCO2e", _AMORTISED),
        ),
        Operated.RENTED: (
            Row(
                "3.1",
                "Scope 3, purchased goods and services",
                Quantity.LOCATION_AND_EMBODIED_T,
                "tCO2e",
                _RENTED,
            ),
        ),
    },
)

_NO_MIX: Final = "no mix by source is kept"
_ESRS_ENERGY: Final = (
    Row("E1-5 37", "Total energy consumption", Quantity.ENERGY_MWH, "MWh"),
    Row("E1-5 37(a)", "From fossil sources", Quantity.UNKNOWN, "MWh", _NO_MIX),
    Row("E1-5 37(c)", "From renewable sources", Quantity.UNKNOWN, "MWh", _NO_MIX),
)
ESRS_E1: Final = Frame(
    "esrs-e1",
    "2023/2772",
    "https://eur-lex.europa.eu/eli/reg_del/2023/2772/oj",
    {
        Operated.OWN: (
            *_ESRS_ENERGY,
            Row("E1-6 49(a)", "Gross scope 2, location-based", Quantity.LOCATION_T, "tCO2e"),
            Row("E1-6 49(b)", "Gross scope 2, market-based", Quantity.MARKET_T, "tCO2e"),
            Row(
                "E1-6 AR 45(d)",
                "Energy under contractual instruments",
                Quantity.CONTRACTED_PERCENT,
                "%",
            ),
            Row("E1-6 51, 2", "Scope 3, capital goods", Quantity.EMBODIED_T, "tCO2e", _AMORTISED),
        ),
        Operated.RENTED: (
            Row(
                "E1-6 51, 1",
                "Scope 3, purchased goods and services",
                Quantity.LOCATION_AND_EMBODIED_T,
                "tCO2e",
                _RENTED,
            ),
        ),
    },
)

FRAMES: Final = {frame.name: frame for frame in (GHG_PROTOCOL, ESRS_E1)}
