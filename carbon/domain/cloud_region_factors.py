"""PUE and WUE of single cloud regions, as their operators publish them.

AWS' figures of 2025, those of Google's environmental report of 2025 (which names data centres,
not regions) and of Microsoft's fact sheets of 2022, the last that it gave by region. Where an
operator gives no figure, or only a continent's mean, the place is blank and stays blank: no mean
stands in for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from carbon.domain.factor import Factor, FactorKind, Tier, Unit

_AWS_TABLE: Final = "https://sustainability.aboutamazon.com/products-services/aws-cloud"
_GOOGLE_REPORT: Final = (
    "Google 2026 Environmental Report, PUE by data centre, https://sustainability.google/reports/"
)
_MICROSOFT_SHEETS: Final = (
    "Microsoft datacenter fact sheets, https://datacenters.microsoft.com/sustainability/efficiency/"
)

#: region, PUE, WUE in L/kWh of IT energy; `-` is blank.
_AWS_2025: Final = """
us-east-1       1.15  0.06
us-east-2       1.12  0.06
us-west-1       1.18  0.39
us-west-2       1.12  0.12
ca-central-1    1.19  0.06
ca-west-1       1.13  0.04
sa-east-1       1.14  0.09
eu-central-1    1.24  0.17
eu-central-2    -     -
eu-west-1       1.10  0.02
eu-west-2       1.23  0.14
eu-west-3       1.35  -
eu-south-1      -     -
eu-south-2      1.06  0.12
eu-north-1      1.09  0.02
me-south-1      1.33  -
me-central-1    1.25  -
il-central-1    1.27  -
af-south-1      1.19  -
ap-south-1      1.40  -
ap-south-2      1.43  -
ap-southeast-1  1.30  1.57
ap-southeast-2  1.14  0.10
ap-southeast-3  1.29  2.85
ap-southeast-4  1.07  0.06
ap-southeast-5  -     -
ap-southeast-6  -     -
ap-southeast-7  1.38  -
ap-northeast-1  1.25  1.22
ap-northeast-2  -     -
ap-northeast-3  1.46  -
cn-northwest-1  1.25  -
"""

#: Google gives water in gallons by place and no WUE.
_GCP_2025: Final = """
asia-east1          1.13  -
asia-northeast1     1.12  -
asia-southeast1     1.12  -
europe-north1       1.10  -
europe-west1        1.08  -
europe-west4        1.07  -
southamerica-west1  1.08  -
us-central1         1.11  -
us-east1            1.09  -
us-east4            1.08  -
us-east5            1.06  -
us-south1           1.10  -
us-west1            1.10  -
us-west4            1.09  -
"""

#: Of sheets that state an operating figure; those with a design figure alone are left out.
_AZURE_2022: Final = """
centralus       1.16   0.19
eastus          1.144  0.17
eastus2         1.144  0.17
northcentralus  1.346  0.79
northeurope     1.197  0.03
southcentralus  1.307  1.82
southeastasia   1.358  2.06
swedencentral   1.172  0.16
westcentralus   1.125  0.23
westeurope      1.158  0.08
westus2         1.156  1.09
westus3         1.223  2.24
"""

#: A year's mean of the region; a month or one of its halls may lie so far off: our assumption.
_PUE_OVERHEAD_MARGIN: Final = 0.25
_WUE_MARGIN: Final = 0.5


def _rows(cloud: str, year: str, table: str, source: str) -> Iterator[Factor]:
    for line in table.strip().splitlines():
        region, pue, wue = line.split()
        if pue != "-":
            value = float(pue)
            margin = (value - 1) * _PUE_OVERHEAD_MARGIN
            bounds = value - margin, value + margin
            yield _factor(FactorKind.PUE, f"{cloud}/{region}", year, value, bounds, source)
        if wue != "-":
            value = float(wue)
            bounds = value * (1 - _WUE_MARGIN), value * (1 + _WUE_MARGIN)
            yield _factor(FactorKind.WUE, f"{cloud}/{region}", year, value, bounds, source)


def _factor(
    kind: FactorKind,
    region: str,
    year: str,
    value: float,
    bounds: tuple[float, float],
    source: str,
) -> Factor:
    return Factor(
        id=f"{kind}/{region}@{year}",
        kind=kind,
        subject=region,
        name=year,
        value=value,
        unit=Unit.RATIO if kind is FactorKind.PUE else Unit.L_PER_KWH,
        low=bounds[0],
        high=bounds[1],
        source=source,
        licence="a single figure, cited",
        vintage=year,
        tier=Tier.SUPPLIER,
        flags=("second_hand",),
        note="The operator's mean of a year.",
    )


CLOUD_REGIONS: Final = (
    *_rows("aws", "2025", _AWS_2025, _AWS_TABLE),
    *_rows("gcp", "2025", _GCP_2025, _GOOGLE_REPORT),
    *_rows("azure", "2022", _AZURE_2022, _MICROSOFT_SHEETS),
)
