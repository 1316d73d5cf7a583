"""Factors: sourced constants with their unit, bounds and origin.

A factor is superseded, never edited. Bounds are meant as a 95 % interval. A value of 0 cannot
be a factor: 0 is never "unknown" and never "green".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from carbon.domain.uncertainty import Interval, Source
from carbon.domain.units import MS_PER_LIFESPAN_YEAR
from carbon.errors import InvalidInput


class FactorKind(StrEnum):
    EMBODIED = "embodied"
    LIFESPAN = "lifespan"
    PUE = "pue"
    WUE = "wue"
    GRID_WATER = "grid_water"  #: of the power plants that feed a zone, for the inventory
    INTENSITY = "intensity"
    CFE = "cfe"  #: carbon-free share of a zone's grid, for the inventory


class Unit(StrEnum):
    KG = "kgCO2e"
    G = "gCO2e"
    YEAR = "year"  #: of 365 days, as ISO/IEC 21031 reads it
    RATIO = "1"
    L_PER_KWH = "L/kWh"  #: WUE per kWh of IT energy, grid water per kWh taken from the grid
    G_PER_KWH = "gCO2e/kWh"


UNITS_BY_KIND = {
    FactorKind.EMBODIED: (Unit.KG, Unit.G),
    FactorKind.LIFESPAN: (Unit.YEAR,),
    FactorKind.PUE: (Unit.RATIO,),
    FactorKind.WUE: (Unit.L_PER_KWH,),
    FactorKind.GRID_WATER: (Unit.L_PER_KWH,),
    FactorKind.INTENSITY: (Unit.G_PER_KWH,),
    FactorKind.CFE: (Unit.RATIO,),
}


class Tier(StrEnum):
    """How a factor is known, best first."""

    MEASURED = "measured"  #: primary analysis of the very product
    SUPPLIER = "supplier"  #: the maker's own footprint of the product
    PARAMETRIC = "parametric"  #: a model of its size, memory, mass
    GENERIC = "generic"  #: a figure for a class of products


class LifeCycleStage(StrEnum):
    MATERIALS = "materials"
    MANUFACTURE = "manufacture"
    TRANSPORT = "transport"
    USE = "use"
    END_OF_LIFE = "end_of_life"


class Distribution(StrEnum):
    """How a factor is thought to lie between its bounds."""

    #: A normal on either side of the value, each as wide as its bound: 2.5 % lie beyond each.
    SPLIT_NORMAL = "split_normal"


CRADLE_TO_GATE = (LifeCycleStage.MATERIALS, LifeCycleStage.MANUFACTURE)


@dataclass(frozen=True, slots=True)
class Factor:
    """One source's statement of one constant."""

    id: str
    kind: FactorKind
    #: What it speaks of: `gpu`, `cpu`, `dram`, `server`, or a region for PUE and WUE.
    subject: str
    #: The product, as its maker writes it; empty for a class.
    name: str
    value: float
    unit: Unit
    low: float
    high: float
    source: str
    licence: str
    vintage: str
    tier: Tier
    life_cycle_stages: tuple[LifeCycleStage, ...] = ()
    #: Shown with every figure that rests on this one, such as `generic_factor`.
    flags: tuple[str, ...] = ()
    #: Why it was chosen, or what it leaves out.
    note: str = ""
    distribution: Distribution = Distribution.SPLIT_NORMAL
    #: sha256 of the document that was read; empty where none was kept.
    source_hash: str = ""
    #: [valid_from, valid_to) in epoch ms; None is unbounded.
    valid_from_ms: int | None = None
    valid_to_ms: int | None = None
    #: When we learnt of it; 0 for what ships.
    recorded_ms: int = 0
    #: Id of the factor that this one replaces while it is valid.
    supersedes: str | None = None

    def __post_init__(self) -> None:
        if self.unit not in UNITS_BY_KIND[self.kind]:
            raise InvalidInput("wrong_unit", f"{self.id}: {self.kind} cannot be in {self.unit}")
        if not 0 < self.value < math.inf:
            raise InvalidInput("not_positive", f"{self.id}: give a finite value above 0")
        if not 0 <= self.low <= self.value <= self.high < math.inf:
            raise InvalidInput("bounds", f"{self.id}: give bounds with low <= value <= high")
        if self.kind is FactorKind.PUE and self.value < 1:
            raise InvalidInput("pue_below_one", f"{self.id}: PUE is a ratio of at least 1")
        if self.kind is FactorKind.CFE and self.high > 1:
            raise InvalidInput("share_above_one", f"{self.id}: a carbon-free share is a part of 1")
        if self.supersedes == self.id:
            raise InvalidInput("supersedes_itself", f"{self.id} cannot supersede itself")
        if _first(self) >= _last(self):
            raise InvalidInput("end_before_start", f"{self.id}: valid_to must lie after valid_from")
        if self.kind is FactorKind.EMBODIED and LifeCycleStage.USE in self.life_cycle_stages:
            raise InvalidInput(
                "use_phase_in_embodied",
                f"{self.id} includes the use phase, which O counts already; give the footprint "
                "without it",
            )

    def is_valid_at(self, at_ms: int) -> bool:
        return _first(self) <= at_ms < _last(self)

    def overlaps(self, other: Factor) -> bool:
        """Whether both are valid at some moment."""
        return _first(self) < _last(other) and _first(other) < _last(self)

    @property
    def interval(self) -> Interval:
        return Interval(self.value, self.low, self.high)

    @property
    def uncertainty(self) -> Source:
        """Shared by all that rests on this factor."""
        return Source.of(("factor", self.id), self.interval)

    @property
    def total_g(self) -> float:
        """Grams of CO2e; only for a mass."""
        if self.unit is Unit.KG:
            return self.value * 1000.0
        if self.unit is Unit.G:
            return self.value
        raise InvalidInput("wrong_unit", f"{self.id} is in {self.unit} and not a mass")

    @property
    def duration_ms(self) -> int:
        """Milliseconds; only for a lifespan."""
        if self.unit is not Unit.YEAR:
            raise InvalidInput("wrong_unit", f"{self.id} is in {self.unit} and not a duration")
        return round(self.value * MS_PER_LIFESPAN_YEAR)


def _first(factor: Factor) -> float:
    return -math.inf if factor.valid_from_ms is None else factor.valid_from_ms


def _last(factor: Factor) -> float:
    return math.inf if factor.valid_to_ms is None else factor.valid_to_ms
