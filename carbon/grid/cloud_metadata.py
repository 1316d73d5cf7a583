"""Which cloud region this machine is in, asked of the cloud's own metadata service.

The firmware is read first: a machine that no cloud built sends no packet anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import httpx2

from carbon.grid.cloud_regions import region_zone

METADATA_URL: Final = "http://169.254.169.254"
#: Long enough for a service on the same machine, short enough not to hold up a start.
TIMEOUT_S: Final = 0.5
_VENDORS: Final = (("Amazon", "aws"), ("Google", "gcp"), ("Microsoft", "azure"))


def cloud_zone(
    base_url: str = METADATA_URL, dmi: Path = Path("/sys/class/dmi/id")
) -> tuple[str, str] | None:
    """(zone, `provider region`) of this machine; None outside of a known cloud's region."""
    provider = cloud_provider(dmi)
    if provider is None:
        return None
    try:
        # The address is link-local: a proxy could not reach it and must not be asked.
        with httpx2.Client(base_url=base_url, timeout=TIMEOUT_S, trust_env=False) as http:
            region = _ASK[provider](http)
    except httpx2.HTTPError:
        return None
    zone = region_zone(provider, region)
    return (zone, f"{provider} {region}") if zone else None


def cloud_provider(dmi: Path = Path("/sys/class/dmi/id")) -> str | None:
    """`aws`, `gcp` or `azure` by the machine's firmware. Hyper-V at home also says Microsoft."""
    try:
        vendor = (dmi / "sys_vendor").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return next((name for prefix, name in _VENDORS if vendor.startswith(prefix)), None)


def _aws_region(http: httpx2.Client) -> str:
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    token = _text(http.put("/latest/api/token", headers=lifetime))
    header = {"X-aws-ec2-metadata-token": token}
    return _text(http.get("/latest/meta-data/placement/region", headers=header))


def _gcp_region(http: httpx2.Client) -> str:
    """Of `projects/123/zones/europe-west1-b` the part without the letter."""
    path = "/computeMetadata/v1/instance/zone"
    text = _text(http.get(path, headers={"Metadata-Flavor": "Google"}))
    return text.rpartition("/")[2].rpartition("-")[0]


def _azure_region(http: httpx2.Client) -> str:
    path = "/metadata/instance/compute/location?api-version=2021-02-01&format=text"
    return _text(http.get(path, headers={"Metadata": "true"}))


_ASK: Final = {"aws": _aws_region, "gcp": _gcp_region, "azure": _azure_region}


def _text(response: httpx2.Response) -> str:
    return response.raise_for_status().text.strip()
