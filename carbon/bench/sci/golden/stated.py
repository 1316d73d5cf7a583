"""A case's quantities as our functions take them: in g, kWh and s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any

from carbon.domain.sci import Calculation, calculate
from carbon.domain.statement import Component, EmbodiedShare, FunctionalUnit

Case = dict[str, Any]
Inputs = dict[str, Any]
#: Masses in g and energy in kWh, by name.
Results = dict[str, float]


#: An emission's unit is its mass prefix before CO2e; what follows is a rate's denominator.
IN_GRAMS = {"g": 1.0, "kg": 1e3, "t": 1e6}
IN_SECONDS = {"s": 1.0, "h": 3600.0}


def number(value: Any) -> float:
    """A quantity's number, or a plain one, or a fraction written as text."""
    if isinstance(value, Mapping):
        value = value["value"]
    if isinstance(value, str):
        numerator, denominator = value.split("/")
        return float(numerator) / float(denominator)
    return float(value)


def mass_g(quantity: Mapping[str, Any]) -> float:
    return float(quantity["value"]) * mass_scale(quantity["unit"])


def mass_scale(unit: str) -> float:
    return IN_GRAMS[unit.split("CO2e")[0]]


def seconds(quantity: Mapping[str, Any]) -> float:
    return float(quantity["value"]) * IN_SECONDS[quantity["unit"]]


def intensity(inputs: Inputs) -> float:
    return mass_g(inputs["I"])


#: Who answers what is stated: the function itself, or the call over HTTP.
answering: ContextVar[Callable[..., Calculation]] = ContextVar("answering", default=calculate)


def scored(*components: Component, count: float = 1.0) -> Calculation:
    return answering.get()(components, FunctionalUnit("unit", count))


def sci_of(*components: Component, count: float = 1.0) -> float:
    return scored(*components, count=count).sci_g_per_unit or 0.0


def parts_in_grams(parts: Iterable[Mapping[str, Any]]) -> list[Component]:
    return [Component(f"part{i}", operational_g=mass_g(part)) for i, part in enumerate(parts)]


def hardware(inputs: Inputs) -> EmbodiedShare:
    """TE, TiR, EL, and RR of ToR."""
    share = number(inputs.get("RR", 1)) / number(inputs.get("ToR", 1))
    return EmbodiedShare(mass_g(inputs["TE"]), seconds(inputs["TiR"]), seconds(inputs["EL"]), share)


def as_stated(grams_or_kwh: float, unit: str, r_unit: str) -> float:
    """Our result in the case's unit: `kgCO2e/1e9 token` of grams per what R counted."""
    if "CO2e" not in unit:
        return grams_or_kwh
    per = batch_of(unit.split("/", 1)[1]) if "/" in unit else 1.0
    return grams_or_kwh / mass_scale(unit) * per / batch_of(r_unit)


def batch_of(unit: str) -> float:
    """1e9 of `1e9 token`; 1 of `token/week`."""
    head = unit.split(" ")[0]
    return float(head) if head[:1].isdigit() else 1.0
