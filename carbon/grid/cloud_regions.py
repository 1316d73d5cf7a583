"""Where the regions of the large clouds stand: provider and region to grid zone.

From the providers' own public lists of regions. A US region names its state, a Canadian one
its province; elsewhere the country. Regions for governments and inside China are left out
where the provider does not say where they stand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_AWS: Final = """
us-east-1 US-VA  us-east-2 US-OH  us-west-1 US-CA  us-west-2 US-OR
ca-central-1 CA-QC  ca-west-1 CA-AB  mx-central-1 MX  sa-east-1 BR
eu-central-1 DE  eu-central-2 CH  eu-west-1 IE  eu-west-2 GB  eu-west-3 FR
eu-north-1 SE  eu-south-1 IT  eu-south-2 ES  il-central-1 IL  me-south-1 BH  me-central-1 AE
af-south-1 ZA  ap-east-1 HK  ap-east-2 TW  ap-south-1 IN  ap-south-2 IN
ap-northeast-1 JP  ap-northeast-2 KR  ap-northeast-3 JP  ap-southeast-1 SG  ap-southeast-2 AU
ap-southeast-3 ID  ap-southeast-4 AU  ap-southeast-5 MY  ap-southeast-6 NZ  ap-southeast-7 TH
cn-north-1 CN  cn-northwest-1 CN
"""

_GCP: Final = """
us-central1 US-IA  us-east1 US-SC  us-east4 US-VA  us-east5 US-OH  us-south1 US-TX
us-west1 US-OR  us-west2 US-CA  us-west3 US-UT  us-west4 US-NV
northamerica-northeast1 CA-QC  northamerica-northeast2 CA-ON  northamerica-south1 MX
southamerica-east1 BR  southamerica-west1 CL
europe-central2 PL  europe-north1 FI  europe-north2 SE  europe-southwest1 ES  europe-west1 BE
europe-west2 GB  europe-west3 DE  europe-west4 NL  europe-west6 CH  europe-west8 IT
europe-west9 FR  europe-west10 DE  europe-west12 IT  africa-south1 ZA
me-central1 QA  me-central2 SA  me-west1 IL
asia-east1 TW  asia-east2 HK  asia-northeast1 JP  asia-northeast2 JP  asia-northeast3 KR
asia-south1 IN  asia-south2 IN  asia-southeast1 SG  asia-southeast2 ID
australia-southeast1 AU  australia-southeast2 AU
"""

_AZURE: Final = """
eastus US-VA  eastus2 US-VA  centralus US-IA  northcentralus US-IL  southcentralus US-TX
westcentralus US-WY  westus US-CA  westus2 US-WA  westus3 US-AZ
canadacentral CA-ON  canadaeast CA-QC  mexicocentral MX  brazilsouth BR  chilecentral CL
northeurope IE  westeurope NL  uksouth GB  ukwest GB  francecentral FR  francesouth FR
germanywestcentral DE  germanynorth DE  switzerlandnorth CH  switzerlandwest CH
norwayeast NO  norwaywest NO  swedencentral SE  polandcentral PL  italynorth IT
spaincentral ES  austriaeast AT  israelcentral IL  qatarcentral QA  uaenorth AE
uaecentral AE  southafricanorth ZA  southafricawest ZA
eastasia HK  southeastasia SG  japaneast JP  japanwest JP  koreacentral KR  koreasouth KR
centralindia IN  southindia IN  westindia IN  indonesiacentral ID  malaysiawest MY
newzealandnorth NZ  australiaeast AU  australiasoutheast AU  australiacentral AU
"""


def region_zone(provider: str, region: str) -> str | None:
    """The zone of `aws`, `gcp` or `azure` and a region; None for one that is not in the list."""
    return _ZONES.get((provider, region.strip().lower()))


def regions() -> Mapping[str, str]:
    """Zone by name of region, of all three providers; no two of them share a name."""
    return _BY_NAME


def _pairs() -> Iterator[tuple[tuple[str, str], str]]:
    for provider, table in (("aws", _AWS), ("gcp", _GCP), ("azure", _AZURE)):
        words = table.split()
        for region, zone in zip(words[::2], words[1::2], strict=True):
            yield (provider, region), zone


_ZONES: Final = dict(_pairs())
_BY_NAME: Final = {region: zone for (_, region), zone in _ZONES.items()}
