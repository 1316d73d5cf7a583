"""PUE of clouds, as their operators publish it: for all sites of a year, and no region's own:
those stand in `cloud_region_factors`. What is in neither is not known, and no mean stands in."""

from __future__ import annotations

from typing import Final

from carbon.domain.factor import Factor, FactorKind, Tier, Unit

_AWS: Final = "https://sustainability.aboutamazon.com/environment/the-cloud"
_COMPARED: Final = "https://www.datacenterdynamics.com/en/news/aws-global-data-centers-achieved-pue-of-115-in-2023/"
#: Best site that AWS names, and what hot regions of large clouds reach: our assumption.
_BEST, _WORST = 1.04, 1.5
_ALL_SITES: Final = "The mean of all sites; one region may lie anywhere between the bounds."


def _pue(cloud: str, year: int, value: float, source: str, *flags: str) -> Factor:
    return Factor(
        id=f"pue/{cloud}@{year}",
        kind=FactorKind.PUE,
        subject=cloud,
        name=str(year),
        value=value,
        unit=Unit.RATIO,
        low=_BEST,
        high=_WORST,
        source=source,
        licence="a single figure, cited",
        vintage=str(year),
        tier=Tier.GENERIC,
        flags=flags,
        note=_ALL_SITES,
    )


CLOUD_PUES: Final = (
    _pue("aws", 2023, 1.15, _COMPARED, "second_hand"),
    _pue("aws", 2024, 1.15, _AWS),
    _pue("aws", 2025, 1.14, _AWS),
    _pue("gcp", 2023, 1.10, _COMPARED, "second_hand"),
    _pue("azure", 2023, 1.18, _COMPARED, "second_hand"),
)
