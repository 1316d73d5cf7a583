"""A manifest of the Green Software Foundation's Impact Framework, read and computed anew.

Its vocabulary is kept and its arithmetic is not: SCI is the ratio of sums. What a manifest does
that would make the framework's own figure wrong is flagged, with where and why.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import yaml

from carbon.domain.sci import Calculation, calculate
from carbon.domain.statement import Component, EmbodiedShare, FunctionalUnit
from carbon.errors import InvalidInput


class Trap(StrEnum):
    """Ways in which the framework's figure is known to go wrong."""

    MEAN_OF_RATIOS = "mean_of_ratios"
    ZERO_UNITS = "zero_units"
    MEMORY_IN_KILOGRAMS = "memory_in_kilograms"
    IGNORED_INPUTS = "ignored_inputs"
    COPIED_BY_TIME_SYNC = "copied_by_time_sync"
    SHARE_OF_ENERGY_ALONE = "share_of_energy_alone"
    DIFFERENT_FIGURE = "different_figure"


_WHY: Final = {
    Trap.MEAN_OF_RATIOS: "several time steps: the framework sums or averages their ratios; SCI is "
    "the ratio of the sums",
    Trap.ZERO_UNITS: "no functional units: the framework returns the carbon itself as the score",
    Trap.MEMORY_IN_KILOGRAMS: "SciEmbodied counts memory in kg per GB beside grams",
    Trap.IGNORED_INPUTS: "no plugin of the pipeline reads these inputs",
    Trap.COPIED_BY_TIME_SYNC: "TimeSync without metadata copies energy into each new step",
    Trap.SHARE_OF_ENERGY_ALONE: "energy is taken by a share of the machine and its hardware whole",
    Trap.DIFFERENT_FIGURE: "the manifest's own output is another figure than its inputs give",
}

#: Of an older version; the present SciEmbodied reads none of them.
_OLD_EMBODIED: Final = (
    "device/emissions-embodied",
    "device/expected-lifespan",
    "time-reserved",
    "resources-reserved",
    "resources-total",
)
_MOST_BYTES: Final = 20_000_000


@dataclass(frozen=True, slots=True)
class Flagged:
    trap: Trap
    where: str
    detail: str


@dataclass(frozen=True, slots=True)
class Manifest:
    name: str
    unit: str | None
    count: float
    calculation: Calculation
    #: What the manifest itself says, where it has been run.
    stated_sci: float | None
    traps: tuple[Flagged, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """One component: its rows over time, and the plugins that compute them."""

    name: str
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Mapping[str, Any], ...]
    methods: tuple[str, ...]


def read_manifest(text: bytes) -> Manifest:
    """Raises InvalidInput: `not_a_manifest`, `missing_intensity`, `not_a_number`, and those of
    `calculate`."""
    told = _parsed(text)
    plugins = told.get("initialize", {}).get("plugins", {})
    leaves = list(_leaves(told["tree"], "", plugins, {}, ()))
    if not leaves:
        raise InvalidInput("not_a_manifest", "the tree has no component with inputs")
    unit = _unit(plugins)
    count = max(_count(leaf, unit) for leaf in leaves) if unit else 0.0
    calculation = calculate(
        [_component(leaf) for leaf in leaves], FunctionalUnit(unit, count) if unit else None
    )
    stated = _stated(told["tree"], leaves)
    traps = tuple(_traps(leaves, plugins, unit, calculation, stated))
    return Manifest(str(told.get("name", "")), unit, count, calculation, stated, traps)


def _parsed(text: bytes) -> dict[str, Any]:
    if len(text) > _MOST_BYTES:
        raise InvalidInput("not_a_manifest", f"a manifest may have {_MOST_BYTES} bytes at most")
    try:
        told = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput("not_a_manifest", f"not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(told, dict) or not isinstance(told.get("tree"), dict):
        raise InvalidInput("not_a_manifest", "a manifest has `initialize` and `tree`")
    return told


def _leaves(
    node: Mapping[str, Any],
    name: str,
    plugins: Mapping[str, Any],
    defaults: Mapping[str, Any],
    methods: tuple[str, ...],
) -> Iterator[_Leaf]:
    """Defaults and pipelines are inherited; a child's outweigh its parent's."""
    defaults = {**defaults, **(node.get("defaults") or {})}
    own = _methods(node.get("pipeline"), plugins)
    methods = own or methods
    children = node.get("children") or {}
    if not children and node.get("inputs"):
        inputs = tuple({**defaults, **row} for row in node["inputs"])
        yield _Leaf(name or "total", inputs, tuple(node.get("outputs") or ()), methods)
    for child, below in children.items():
        path = f"{name}/{child}" if name else str(child)
        yield from _leaves(below or {}, path, plugins, defaults, methods)


def _methods(pipeline: object, plugins: Mapping[str, Any]) -> tuple[str, ...]:
    steps = pipeline.get("compute") if isinstance(pipeline, Mapping) else pipeline
    named = steps if isinstance(steps, list) else []
    return tuple(str(plugins.get(step, {}).get("method", step)) for step in named)


def _unit(plugins: Mapping[str, Any]) -> str | None:
    for plugin in plugins.values():
        if plugin.get("method") == "Sci":
            config = plugin.get("config") or plugin.get("global-config") or {}
            unit = config.get("functional-unit")
            return str(unit) if unit else None
    return None


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput("not_a_number", f"{name}: {value!r} is not a finite number")
    return float(value)


def _count(leaf: _Leaf, unit: str | None) -> float:
    return math.fsum(_number(row, str(unit)) or 0.0 for row in leaf.inputs)


def _rows(leaf: _Leaf) -> Iterable[Mapping[str, Any]]:
    """Outputs hold what plugins computed beside the inputs; without a run, the inputs alone."""
    return leaf.outputs if len(leaf.outputs) == len(leaf.inputs) else leaf.inputs


def _component(leaf: _Leaf) -> Component:
    operational = [_operational_g(leaf.name, row) for row in _rows(leaf)]
    embodied = [_embodied_g(row) for row in _rows(leaf)]
    return Component(leaf.name, operational_g=_sum(operational), embodied_g=_sum(embodied))


def _sum(values: Iterable[float | None]) -> float | None:
    """None where nothing was stated: absent is listed, and not 0."""
    stated = [value for value in values if value is not None]
    return math.fsum(stated) if stated else None


def _operational_g(name: str, row: Mapping[str, Any]) -> float | None:
    energy, intensity = _energy_kwh(row), _number(row, "grid/carbon-intensity")
    if energy is not None and intensity is not None:
        return energy * intensity
    stated = _number(row, "carbon-operational")
    if stated is None and energy is not None:
        raise InvalidInput("missing_intensity", f"{name}: add grid/carbon-intensity to the energy")
    if stated is None and (carbon := _number(row, "carbon")) is not None:
        return carbon - (_number(row, "carbon-embodied") or 0.0)
    return stated


def _energy_kwh(row: Mapping[str, Any]) -> float | None:
    whole = _number(row, "energy")
    parts = [
        _number(row, name)
        for name in ("cpu/energy", "memory/energy", "network/energy", "gpu/energy")
    ]
    return whole if whole is not None else _sum(parts)


def _embodied_g(row: Mapping[str, Any]) -> float | None:
    total_g, life_s = (_number(row, name) for name in _OLD_EMBODIED[:2])
    if total_g is not None and life_s:
        reserved = _number(row, "time-reserved") or _number(row, "duration") or 0.0
        share = (_number(row, "resources-reserved") or 1.0) / (
            _number(row, "resources-total") or 1.0
        )
        part = Component("m", embodied=EmbodiedShare(total_g, reserved, life_s, share))
        return calculate([part]).embodied_g
    return _number(row, "carbon-embodied")


def _stated(tree: Mapping[str, Any], leaves: Iterable[_Leaf]) -> float | None:
    aggregated = tree.get("aggregated") or {}
    if "sci" in aggregated:
        return _number(aggregated, "sci")
    only = list(leaves)
    if len(only) == 1 and len(only[0].outputs) == 1:
        return _number(only[0].outputs[0], "sci")
    return None


def _traps(
    leaves: Iterable[_Leaf],
    plugins: Mapping[str, Any],
    unit: str | None,
    calculation: Calculation,
    stated: float | None,
) -> Iterator[Flagged]:
    for leaf in leaves:
        yield from _traps_of(leaf, plugins, unit)
    ours = calculation.sci_g_per_unit
    if stated is not None and (ours is None or not math.isclose(ours, stated, rel_tol=1e-6)):
        yield _flagged(Trap.DIFFERENT_FIGURE, "tree", f"{stated!r}, the ratio of sums is {ours!r}")


def _traps_of(leaf: _Leaf, plugins: Mapping[str, Any], unit: str | None) -> Iterator[Flagged]:
    methods = set(leaf.methods)
    if "Sci" in methods and len(leaf.inputs) > 1:
        yield _flagged(Trap.MEAN_OF_RATIOS, leaf.name, f"{len(leaf.inputs)} steps")
    if "Sci" in methods and any(not _number(row, str(unit)) for row in leaf.inputs):
        yield _flagged(Trap.ZERO_UNITS, leaf.name, str(unit))
    seen = {name for row in leaf.inputs for name in row}
    if "SciEmbodied" in methods:
        if "memory" in seen:
            yield _flagged(Trap.MEMORY_IN_KILOGRAMS, leaf.name, "memory")
        if ignored := [name for name in _OLD_EMBODIED if name in seen]:
            yield _flagged(Trap.IGNORED_INPUTS, leaf.name, ", ".join(ignored))
    if "TimeSync" in methods and not _has_metadata(plugins):
        yield _flagged(Trap.COPIED_BY_TIME_SYNC, leaf.name, "TimeSync")
    if _shares_energy(leaf) and not {"usage-ratio", "resources-total"} & seen:
        yield _flagged(Trap.SHARE_OF_ENERGY_ALONE, leaf.name, "vcpus-allocated of vcpus-total")


def _has_metadata(plugins: Mapping[str, Any]) -> bool:
    return any(
        plugin.get("parameter-metadata")
        for plugin in plugins.values()
        if plugin.get("method") == "TimeSync"
    )


def _shares_energy(leaf: _Leaf) -> bool:
    return any(
        (_number(row, "vcpus-allocated") or 0.0) < (_number(row, "vcpus-total") or 0.0)
        for row in leaf.inputs
    )


def _flagged(trap: Trap, where: str, detail: str) -> Flagged:
    return Flagged(trap, where, f"{_WHY[trap]}: {detail}")
