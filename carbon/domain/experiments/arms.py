"""The two arms of an experiment, and whether they may be compared at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any

from carbon.domain.energy import Method
from carbon.domain.uncertainty import ENERGY_HALF_WIDTH
from carbon.domain.units import MJ_PER_KWH
from carbon.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Block:
    """One stretch of an arm: what it drew, emitted and made."""

    start_ms: int
    end_ms: int
    energy_mj: int
    operational_g: float
    embodied_g: float
    count: float
    #: In the metric that the experiment names, where it was taken for each block.
    quality: float | None = None
    #: Blocks are compared within their site; what a site has of its own cancels.
    site: str = ""
    run: str | None = None

    def priced_at(self, g_per_kwh: float) -> Block:
        """With another intensity for its energy (PUE included)."""
        grams = self.energy_mj / MJ_PER_KWH * g_per_kwh
        return Block(
            self.start_ms,
            self.end_ms,
            self.energy_mj,
            grams,
            self.embodied_g,
            self.count,
            self.quality,
            self.site,
            self.run,
        )


class Treated(StrEnum):
    """What may differ between the arms only where it is declared to be the treatment."""

    HARDWARE = "hardware"
    ZONE = "zone"
    PUE = "pue"


class MethodClass(StrEnum):
    """How the energy is known; figures of two classes do not compare."""

    MEASURED = "measured"
    MODELLED = "modelled"
    IMPORTED = "imported"
    ESTIMATED = "estimated"
    MIXED = "mixed"
    #: No energy at all.
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, shares: Mapping[str, float]) -> MethodClass:
        """Of a method's share of the energy; one class has to carry 95 % of it."""
        sums: dict[MethodClass, float] = {}
        for label, share in shares.items():
            one = cls.of_method(Method.of(label))
            sums[one] = sums.get(one, 0.0) + share
        best = max(sums, key=lambda kind: sums[kind], default=cls.UNKNOWN)
        return best if not sums or sums[best] >= 0.95 else cls.MIXED

    @classmethod
    def of_method(cls, method: Method) -> MethodClass:
        return cls.MEASURED if method.is_measured else cls(method.label)


def half_width_of(methods: Iterable[str]) -> float:
    """The widest relative error of the energy of some methods."""
    return max((ENERGY_HALF_WIDTH[Method.of(label)] for label in methods), default=0.0)


@dataclass(frozen=True)
class Conditions:
    """Everything about an arm that must be alike for a comparison to mean anything."""

    boundary: Mapping[str, Any]
    unit: str
    #: Ids of the constants, and how energy was priced.
    factors: frozenset[str]
    intensity: frozenset[str]
    #: Which requests, runs or rows went in: as the experimenter states it.
    selection: Mapping[str, Any]
    methods: frozenset[str]
    method_class: MethodClass
    hardware: frozenset[str]
    zones: frozenset[str]
    #: None where nobody stated one.
    pues: frozenset[float | None]


@dataclass(frozen=True)
class Arm:
    name: str
    workload: str
    blocks: Sequence[Block]
    conditions: Conditions
    config: Mapping[str, Any] = field(default_factory=dict)
    #: Name of an artefact (weights, image, data) to its hash.
    artefacts: Mapping[str, str] = field(default_factory=dict)

    @property
    def energy_mj(self) -> int:
        return sum(block.energy_mj for block in self.blocks)

    @property
    def operational_g(self) -> float:
        return math.fsum(block.operational_g for block in self.blocks)

    @property
    def embodied_g(self) -> float:
        return math.fsum(block.embodied_g for block in self.blocks)

    @property
    def count(self) -> float:
        return math.fsum(block.count for block in self.blocks)

    @property
    def duration_s(self) -> float:
        return sum(block.end_ms - block.start_ms for block in self.blocks) / 1000


def differences(baseline: Conditions, treatment: Conditions) -> list[str]:
    """Names of all that differs, in the order of the standard's own statement."""
    pairs = {
        "boundary": (dict(baseline.boundary), dict(treatment.boundary)),
        "functional_unit": (baseline.unit, treatment.unit),
        "factor_snapshot": (
            (baseline.factors, baseline.intensity),
            (treatment.factors, treatment.intensity),
        ),
        "selection": (dict(baseline.selection), dict(treatment.selection)),
        "method_class": (baseline.method_class, treatment.method_class),
        Treated.HARDWARE: (baseline.hardware, treatment.hardware),
        Treated.ZONE: (baseline.zones, treatment.zones),
        Treated.PUE: (baseline.pues, treatment.pues),
    }
    return [str(name) for name, (one, other) in pairs.items() if one != other]


def check_comparable(
    baseline: Conditions, treatment: Conditions, treats: Iterable[Treated] = ()
) -> None:
    """Raises InvalidInput(`arms_differ`) with `differ`, the names of what must be alike and is
    not. Other hardware brings other factors with it, another zone another price."""
    declared = {str(one) for one in treats}
    found = differences(baseline, treatment)
    excused = set(declared)
    if "factor_snapshot" in found and _is_explained(baseline, treatment, declared):
        excused.add("factor_snapshot")
    differ = [name for name in found if name not in excused]
    if not differ:
        return
    treatable = [name for name in differ if name in set(Treated)]
    mend = f"; declare {', '.join(treatable)} in `treats` where it is the treatment" * bool(
        treatable
    )
    raise InvalidInput(
        "arms_differ", f"the arms differ in {', '.join(differ)}{mend}", differ=differ
    )


def _is_explained(baseline: Conditions, treatment: Conditions, declared: set[str]) -> bool:
    constants_alike = baseline.factors == treatment.factors or Treated.HARDWARE in declared
    prices_alike = baseline.intensity == treatment.intensity or Treated.ZONE in declared
    return constants_alike and prices_alike


def config_diff(
    baseline: Mapping[str, Any], treatment: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Key to (before, after) of what is not the same in both; None for what one has not."""
    keys = sorted({*baseline, *treatment})
    return {
        key: (baseline.get(key), treatment.get(key))
        for key in keys
        if baseline.get(key) != treatment.get(key)
    }


def interleaved(baseline: Sequence[Block], treatment: Sequence[Block]) -> bool:
    """Whether at least half of the neighbours in time are of different arms: a slow drift of the
    machine then meets both."""
    by_site: dict[str, list[tuple[int, int]]] = {}
    for arm, blocks in enumerate((baseline, treatment)):
        for block in blocks:
            by_site.setdefault(block.site, []).append((block.start_ms, arm))
    switches = neighbours = 0
    for places in by_site.values():
        order = [arm for _, arm in sorted(places)]
        switches += sum(a != b for a, b in pairwise(order))
        neighbours += len(order) - 1
    return neighbours > 0 and switches * 2 >= neighbours
