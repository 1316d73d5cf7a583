"""Where in the United States a zone stands: which authority of EIA-930 tells of it.

A zone is named after a region and its balancing authority, as `US-CAL-CISO`. A state takes
the figures of an authority that feeds nearly all of it, estimated and flagged, and `US` those
of the lower 48 states together; a state that several share has none here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from carbon.domain.intensity import IntensityPoint, PointKind

COUNTRY: Final = "US"
#: What EIA's API calls the lower 48 states together.
LOWER_48: Final = "US48"

AUTHORITIES: Final = (
    "US-CAL-BANC",
    "US-CAL-CISO",
    "US-CAL-IID",
    "US-CAL-LDWP",
    "US-CAR-CPLE",
    "US-CAR-DUK",
    "US-CAR-SC",
    "US-CAR-SCEG",
    "US-CENT-SPA",
    "US-CENT-SWPP",
    "US-FLA-FMPP",
    "US-FLA-FPC",
    "US-FLA-FPL",
    "US-FLA-JEA",
    "US-FLA-TEC",
    "US-MIDA-PJM",
    "US-MIDW-AECI",
    "US-MIDW-LGEE",
    "US-MIDW-MISO",
    "US-NE-ISNE",
    "US-NW-AVA",
    "US-NW-BPAT",
    "US-NW-CHPD",
    "US-NW-GCPD",
    "US-NW-IPCO",
    "US-NW-NEVP",
    "US-NW-NWMT",
    "US-NW-PACE",
    "US-NW-PACW",
    "US-NW-PGE",
    "US-NW-PSCO",
    "US-NW-PSEI",
    "US-NW-SCL",
    "US-NW-TPWR",
    "US-NW-WACM",
    "US-NY-NYIS",
    "US-SE-SOCO",
    "US-SW-AZPS",
    "US-SW-EPE",
    "US-SW-PNM",
    "US-SW-SRP",
    "US-SW-TEPC",
    "US-SW-WALC",
    "US-TEN-TVA",
    "US-TEX-ERCO",
)

#: States of which one authority feeds nearly all, by that authority. California and Texas have
#: others too, of a fifth and a tenth of their load.
_STATES: Final = """
CISO CA  ERCO TX  NYIS NY  TVA TN  SOCO GA  SWPP KS NE OK  MISO IA  NEVP NV  PACE UT
PJM DC DE MD NJ OH PA VA WV  ISNE CT MA ME NH RI VT
"""


def _states() -> dict[str, str]:
    found, authority = {}, ""
    for word in _STATES.split():
        if len(word) > 2:
            authority = word
        else:
            found[f"{COUNTRY}-{word}"] = authority
    return found


STATES: Final = MappingProxyType(_states())
ZONES: Final = (COUNTRY, *AUTHORITIES, *STATES)


def authority_of(zone: str) -> str:
    """`CISO` of `US-CAL-CISO` as of `US-CA`; `US48` of `US`. For one of `ZONES`."""
    if zone == COUNTRY:
        return LOWER_48
    return STATES.get(zone) or zone.rpartition("-")[2]


def rated_as(
    zone: str, points: Sequence[IntensityPoint]
) -> tuple[list[IntensityPoint], tuple[str, ...]]:
    """An authority's points as those of the zone, and what is to be shown with them."""
    if zone in STATES:
        estimated = [replace(point, kind=PointKind.ESTIMATED) for point in points]
        return estimated, (f"authority_{STATES[zone].lower()}",)
    return list(points), ("lower_48",) if zone == COUNTRY else ()
