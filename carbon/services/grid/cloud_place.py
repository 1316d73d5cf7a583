"""A host in a region of a cloud: the grid zone and the PUE that come with it."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from carbon.domain.factor import FactorKind
from carbon.errors import InvalidInput
from carbon.grid.cloud_regions import region_zone
from carbon.storage.factors import factor_book
from carbon.wire.hosts import HostBody


def in_region(connection: Connection, body: HostBody, now_ms: int) -> HostBody:
    """The body with its region's zone and PUE, where it says neither itself.

    Raises InvalidInput: `unknown_region`, and `blank_coefficient` where the operator publishes no
    PUE of it, so that none is made up.
    """
    region = (body.region or "").strip().lower()
    provider, _, name = region.partition("/")
    zone = region_zone(provider, name)
    found = factor_book(connection).of_region(FactorKind.PUE, region, now_ms)
    if zone is None and found is None:
        raise InvalidInput(
            "unknown_region",
            f"no region {body.region!r}; write provider/region, such as aws/eu-west-1, or record "
            "its PUE as a factor with that subject",
        )
    pue = body.pue
    if pue is None:
        if found is None:
            raise InvalidInput(
                "blank_coefficient",
                f"no PUE of {region} is published; state pue, or record one: carbon factors add "
                f"--kind pue --subject {region}",
            )
        pue = found.value
    return msgspec.structs.replace(body, region=region, zone=body.zone or zone, pue=pue)
