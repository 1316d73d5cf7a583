"""POST, GET and PATCH of /v1/workloads."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from carbon.wire.energy import Text


class ExcludedComponent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    component: Text
    reason: Text
    #: Estimated share of the total, 0..1.
    share: float | None = None


class BoundaryBody(Struct, frozen=True, forbid_unknown_fields=True):
    included: list[Text]
    excluded: list[ExcludedComponent] = []


class WorkloadBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    persona: str = "consumer"
    units: list[Text] = []
    boundary: BoundaryBody | None = None


class WorkloadChange(Struct, frozen=True, forbid_unknown_fields=True):
    persona: str | UnsetType = UNSET
    units: list[Text] | UnsetType = UNSET
    boundary: BoundaryBody | UnsetType = UNSET


class WorkloadAnswer(Struct, frozen=True):
    name: str
    persona: str
    units: list[str]
    boundary: dict[str, Any]
    #: False where a write created it and no person has named it yet.
    is_named: bool
    created: str


class WorkloadList(Struct, frozen=True):
    workloads: list[WorkloadAnswer]
