"""/v1/components: what belongs to a workload and no meter of ours sees."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from carbon.wire.energy import Text


class ComponentKind(StrEnum):
    NETWORK = "network"
    STORAGE = "storage"
    EXTERNAL_API = "external_api"  #: such as a hosted language model
    OTHER = "other"


class ComponentBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Per unit of the workload: energy in kWh, priced by the zone, or grams as their source says.

    `low` and `high` bound it at 95 %. Recorded again under the same name it supersedes;
    `retired` ends it. Reports hold what held when they were issued.
    """

    workload: Text
    name: Text
    kind: ComponentKind
    #: One of the workload's units, whose counts it goes by.
    unit: Text
    source: Text
    low: float
    high: float
    kwh_per_unit: float | None = None
    g_per_unit: float | None = None
    zone: Text | None = None
    vintage: str = ""
    retired: bool = False


class ComponentList(Struct, frozen=True):
    workload: str
    components: list[ComponentBody]
