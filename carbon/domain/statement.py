"""What a caller states of a piece of software, and what of it cannot be meant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from carbon.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class EmbodiedShare:
    """TE in g, TiR and EL in s, RS in 0..1."""

    total_g: float
    reserved_s: float
    lifespan_s: float
    share: float


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the software: O as energy x intensity or as grams, M as a share or as grams."""

    name: str
    energy_kwh: float | None = None  #: IT energy, without PUE
    intensity_g_per_kwh: float | None = None
    operational_g: float | None = None
    pue: float | None = None
    embodied: EmbodiedShare | None = None
    embodied_g: float | None = None


@dataclass(frozen=True, slots=True)
class FunctionalUnit:
    name: str
    count: float


def check(components: Sequence[Component], unit: FunctionalUnit | None) -> None:
    """Raises InvalidInput, naming the component, for what cannot be meant."""
    if not components:
        raise InvalidInput("no_components", "state at least one component")
    seen: set[str] = set()
    for component in components:
        if component.name in seen:
            raise InvalidInput("duplicate_component", f"two components are named {component.name}")
        seen.add(component.name)
        _check_component(component)
    if unit is not None:
        _check_numbers("functional_unit", unit)


def _check_component(component: Component) -> None:
    _check_numbers(component.name, component)
    _check_operational(component)
    if component.embodied is not None:
        if component.embodied_g is not None:
            raise InvalidInput(
                "stated_twice", f"{component.name}: state embodied or embodied_g, not both"
            )
        _check_numbers(f"{component.name}.embodied", component.embodied)
        _check_embodied(component.name, component.embodied)


def _check_operational(component: Component) -> None:
    name = component.name
    energy, intensity = component.energy_kwh, component.intensity_g_per_kwh
    if component.operational_g is not None:
        if not (energy is intensity is component.pue is None):
            raise InvalidInput(
                "stated_twice",
                f"{name}: state operational_g, or energy_kwh with intensity and PUE, not both",
            )
    elif energy is None:
        if intensity is not None or component.pue is not None:
            raise InvalidInput("missing_energy", f"{name}: add energy_kwh to the intensity or PUE")
    elif intensity is None:
        raise InvalidInput("missing_intensity", f"{name}: add intensity_g_per_kwh to energy_kwh")
    if component.pue is not None and component.pue < 1.0:
        raise InvalidInput("pue_below_one", f"{name}: PUE is a ratio of at least 1")


def _check_embodied(name: str, stated: EmbodiedShare) -> None:
    if stated.lifespan_s == 0:
        raise InvalidInput("zero_lifespan", f"{name}: lifespan_s must be above 0")
    if stated.share > 1:
        raise InvalidInput("share_above_one", f"{name}: share is a part of 1, such as 0.25")


def _check_numbers(where: str, stated: Component | EmbodiedShare | FunctionalUnit) -> None:
    for name in _NAMES[type(stated)]:
        value = getattr(stated, name)
        if not isinstance(value, int | float):
            continue
        if value < 0:
            raise InvalidInput("negative_value", f"{where}: {name} is below 0")
        if not math.isfinite(value):
            raise InvalidInput("out_of_range", f"{where}: {name} is not a finite number")


#: Asked of every component of every call, hence once.
_NAMES: dict[type, tuple[str, ...]] = {
    stated: tuple(field.name for field in fields(stated))
    for stated in (Component, EmbodiedShare, FunctionalUnit)
}
