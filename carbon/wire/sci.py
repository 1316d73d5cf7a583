"""POST /v1/sci/calculate.

Unknown fields are refused: a misspelt `embodied_g` would otherwise count as "not stated".
Signs and contradictions are judged by the domain, which names the component.
"""

from __future__ import annotations

from msgspec import Struct

from carbon.domain import sci, statement
from carbon.wire.energy import Text


class StatedEmbodied(Struct, frozen=True, forbid_unknown_fields=True):
    total_g: float
    reserved_s: float
    lifespan_s: float
    share: float


class StatedComponent(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    name: Text
    energy_kwh: float | None = None
    intensity_g_per_kwh: float | None = None
    operational_g: float | None = None
    pue: float | None = None
    embodied: StatedEmbodied | None = None
    embodied_g: float | None = None


class StatedUnit(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    count: float


class CalculateRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    components: list[StatedComponent]
    functional_unit: StatedUnit | None = None


class CalculatedComponent(Struct, frozen=True):
    name: str
    operational_g: float
    embodied_g: float
    total_g: float
    sci_g_per_unit: float | None


class CalculateAnswer(Struct, frozen=True):
    components: list[CalculatedComponent]
    operational_g: float
    embodied_g: float
    total_g: float
    #: Null without units, or with a count of 0.
    sci_g_per_unit: float | None
    #: `<component>.operational`, `<component>.embodied`, `functional_unit`.
    not_stated: list[str]


def calculated(request: CalculateRequest) -> CalculateAnswer:
    """Raises InvalidInput where the request cannot be meant."""
    unit = request.functional_unit
    result = sci.calculate(
        [_component(stated) for stated in request.components],
        statement.FunctionalUnit(unit.name, unit.count) if unit else None,
    )
    return CalculateAnswer(
        [_calculated(scored) for scored in result.components],
        result.operational_g,
        result.embodied_g,
        result.total_g,
        result.sci_g_per_unit,
        list(result.not_stated),
    )


def _component(stated: StatedComponent) -> statement.Component:
    return statement.Component(
        name=stated.name,
        energy_kwh=stated.energy_kwh,
        intensity_g_per_kwh=stated.intensity_g_per_kwh,
        operational_g=stated.operational_g,
        pue=stated.pue,
        embodied=_embodied(stated.embodied) if stated.embodied else None,
        embodied_g=stated.embodied_g,
    )


def _embodied(stated: StatedEmbodied) -> statement.EmbodiedShare:
    return statement.EmbodiedShare(
        stated.total_g, stated.reserved_s, stated.lifespan_s, stated.share
    )


def _calculated(scored: sci.ComponentScore) -> CalculatedComponent:
    return CalculatedComponent(
        scored.name,
        scored.operational_g,
        scored.embodied_g,
        scored.total_g,
        scored.sci_g_per_unit,
    )
