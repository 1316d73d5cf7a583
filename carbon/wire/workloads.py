"""POST, GET and PATCH of /v1/workloads."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from carbon.domain.functional_unit import Basis
from carbon.wire.energy import Text


class ExcludedComponent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    component: Text
    reason: Text
    #: Estimated share of the total, 0..1.
    share: Annotated[float, Meta(ge=0, le=1)] | None = None


class ConversionBody(Struct, frozen=True, forbid_unknown_fields=True):
    """One `of`, another own unit that is counted, is `factor` of this one."""

    of: Text
    factor: float
    source: Text


class UnitBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A functional unit with what it means; a plain name is one too."""

    name: Text
    definition: Annotated[str, Meta(max_length=2000)] = ""
    basis: Basis | None = None
    converted: ConversionBody | None = None


class UnitMeaning(Struct, frozen=True):
    name: str
    definition: str
    #: `gross` or `effective`; null where nobody said.
    basis: str | None
    #: Of a converted unit: one `converted_from` is `factor` of it, by `source`.
    converted_from: str | None
    factor: float | None
    source: str | None


class BoundaryBody(Struct, frozen=True, forbid_unknown_fields=True):
    included: list[Text]
    excluded: list[ExcludedComponent] = []


class WorkloadBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    persona: str = "consumer"
    units: list[Text | UnitBody] = []
    boundary: BoundaryBody | None = None


class WorkloadChange(Struct, frozen=True, forbid_unknown_fields=True):
    persona: str | UnsetType = UNSET
    units: list[Text | UnitBody] | UnsetType = UNSET
    boundary: BoundaryBody | UnsetType = UNSET


class WorkloadAnswer(Struct, frozen=True):
    name: str
    persona: str
    units: list[str]
    #: Of those units that are more than a name.
    unit_meanings: list[UnitMeaning]
    boundary: dict[str, Any]
    #: False where a write created it and no person has named it yet.
    is_named: bool
    created: str


class WorkloadList(Struct, frozen=True):
    workloads: list[WorkloadAnswer]
