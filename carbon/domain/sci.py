"""Software Carbon Intensity (ISO/IEC 21031:2024): SCI = (O + M) per R.

`calculate` scores what a caller states in full; `score` scores what the ledger holds. Both
divide sums: the SCI of a window is ΣC / ΣR and never a mean of ratios. Neither has a place for
an offset, a certificate or a purchase agreement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from carbon.domain.embodied import EmbodiedCharge, embodied_g
from carbon.domain.energy import Method
from carbon.domain.factor import Factor
from carbon.domain.intensity import PointKind
from carbon.domain.statement import Component, FunctionalUnit, check
from carbon.domain.uncertainty import (
    Interval,
    Source,
    Term,
    energy_source,
    intensity_source,
    propagate,
    pue_source,
)
from carbon.domain.units import NG_PER_G, grams
from carbon.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class ComponentScore:
    name: str
    operational_g: float
    embodied_g: float
    total_g: float
    sci_g_per_unit: float | None


@dataclass(frozen=True, slots=True)
class Calculation:
    components: tuple[ComponentScore, ...]
    operational_g: float
    embodied_g: float
    total_g: float
    sci_g_per_unit: float | None
    #: `<component>.operational`, `<component>.embodied`, `functional_unit`: absent, so 0 or null.
    not_stated: tuple[str, ...]


def calculate(
    components: Sequence[Component], functional_unit: FunctionalUnit | None = None
) -> Calculation:
    """The SCI of components that share one functional unit.

    A wholly absent O or M counts 0 and is listed. PUE multiplies energy once; absent it is 1.
    Without units, or with none, the score is None. Raises InvalidInput for what cannot be
    meant: a part stated twice or by half, a negative or impossible number, a name used twice.
    """
    check(components, functional_unit)
    count = functional_unit.count if functional_unit else 0.0
    scored = tuple(_scored(component, count) for component in components)
    total_g = _finite_sum(score.total_g for score in scored)
    return Calculation(
        components=scored,
        operational_g=_finite_sum(score.operational_g for score in scored),
        embodied_g=_finite_sum(score.embodied_g for score in scored),
        total_g=total_g,
        sci_g_per_unit=_per_unit(total_g, count),
        not_stated=tuple(_not_stated(components, functional_unit)),
    )


def count_at_rate(per_s: float, duration_s: float) -> float:
    """R of a steady throughput."""
    return per_s * duration_s


def relative_change(baseline: float, treatment: float) -> float:
    """-0.25 for a treatment that is a quarter below its baseline (> 0)."""
    return treatment / baseline - 1.0


def _scored(component: Component, count: float) -> ComponentScore:
    operational, embodied = _operational_g(component), _embodied_g(component)
    total_g = _finite_sum((operational, embodied))
    return ComponentScore(component.name, operational, embodied, total_g, _per_unit(total_g, count))


def _operational_g(component: Component) -> float:
    if component.operational_g is not None:
        return component.operational_g
    if component.energy_kwh is None or component.intensity_g_per_kwh is None:
        return 0.0
    pue = 1.0 if component.pue is None else component.pue
    return component.energy_kwh * component.intensity_g_per_kwh * pue


def _embodied_g(component: Component) -> float:
    if component.embodied_g is not None:
        return component.embodied_g
    if component.embodied is None:
        return 0.0
    stated = component.embodied
    return embodied_g(stated.total_g, stated.reserved_s, stated.lifespan_s, stated.share)


def _finite_sum(values: Iterable[float]) -> float:
    try:
        total = math.fsum(values)
    except OverflowError:
        total = math.inf
    return _finite(total)


def _per_unit(total_g: float, count: float) -> float | None:
    if count == 0:
        return None
    return _finite(total_g / count)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise InvalidInput("out_of_range", "the numbers are too large to be multiplied or divided")
    return value


def _not_stated(components: Iterable[Component], unit: FunctionalUnit | None) -> Iterable[str]:
    for component in components:
        if component.operational_g is None and component.energy_kwh is None:
            yield f"{component.name}.operational"
        if component.embodied_g is None and component.embodied is None:
            yield f"{component.name}.embodied"
    if unit is None:
        yield "functional_unit"


class NoScore(StrEnum):
    """Why there is no rate; the grams are stated all the same."""

    NO_ENERGY = "no_energy"
    NO_UNITS = "no_units"


@dataclass(frozen=True, slots=True)
class Charge:
    """Energy of one device and method in one zone, with the grams that it caused."""

    device: str | int
    method: Method
    zone: str
    energy_mj: int  #: IT energy
    operational_ng: int  #: of it, PUE included
    covered_ms: int  #: device-time that backs it
    intensity_kind: PointKind = PointKind.ACTUAL
    #: Whether somebody stated the PUE that is in `operational_ng`; else 1.0 was counted.
    pue_is_stated: bool = True
    #: Both where the grams are bounded by more than meter and price: across a gap at the gap's
    #: lowest and highest intensity; of a filled gap by how its profile varied.
    low_ng: int | None = None
    high_ng: int | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The SCI of one subject over one window. Masses are integers of nanograms, and exact."""

    count: int | float
    energy_mj: int
    measured_ng: int
    estimated_ng: int
    embodied_ng: int
    covered_ms: int
    methods: dict[str, float]  #: method -> share of the energy; they sum to 1
    zones: tuple[str, ...]
    reason: NoScore | None
    total: Interval  #: grams, bounded at 95 %

    @property
    def operational_ng(self) -> int:
        return self.measured_ng + self.estimated_ng

    @property
    def measured_g(self) -> float:
        return grams(self.measured_ng)

    @property
    def estimated_g(self) -> float:
        return grams(self.estimated_ng)

    @property
    def operational_g(self) -> float:
        return grams(self.operational_ng)

    @property
    def embodied_g(self) -> float:
        return grams(self.embodied_ng)

    @property
    def total_g(self) -> float:
        return grams(self.operational_ng + self.embodied_ng)

    @property
    def sci_g_per_unit(self) -> float | None:
        if self.reason:
            return None
        return (self.operational_ng + self.embodied_ng) / (self.count * NG_PER_G)

    def within(self, total: Interval) -> Score:
        """The same score between other bounds."""
        return replace(self, total=total)

    @property
    def low(self) -> float | None:
        return None if self.reason else self.total.low / self.count

    @property
    def high(self) -> float | None:
        return None if self.reason else self.total.high / self.count


def score(
    charges: Iterable[Charge], embodied: Iterable[EmbodiedCharge], count: int | float
) -> Score:
    """ΣC / ΣR of one window; `count` is R over the device-time that the charges cover."""
    charges, embodied = list(charges), list(embodied)
    if not all(isinstance(charge, Charge) for charge in charges):
        raise TypeError("SCI is location-based: it takes charges of a grid, never of a market")
    energy_mj = sum(charge.energy_mj for charge in charges)
    return Score(
        count=count,
        energy_mj=energy_mj,
        measured_ng=_operational_ng(charges, lambda method: method.is_measured),
        estimated_ng=_operational_ng(charges, lambda method: not method.is_measured),
        embodied_ng=sum(charge.embodied_ng for charge in embodied),
        covered_ms=sum(charge.covered_ms for charge in charges),
        methods=_energy_shares(charges, energy_mj),
        zones=tuple(sorted({charge.zone for charge in charges})),
        reason=no_score(energy_mj or sum(charge.operational_ng for charge in charges), count),
        total=_interval_g(charges, embodied),
    )


def no_score(drawn: int, count: int | float) -> NoScore | None:
    """`drawn` is energy; or mass, of a component whose source tells grams alone."""
    if not drawn:
        return NoScore.NO_ENERGY
    return None if count else NoScore.NO_UNITS


def _operational_ng(charges: Iterable[Charge], wanted: Callable[[Method], bool]) -> int:
    return sum(charge.operational_ng for charge in charges if wanted(charge.method))


def _energy_shares(charges: Iterable[Charge], energy_mj: int) -> dict[str, float]:
    by_method: dict[Method, int] = {}
    for charge in charges:
        by_method[charge.method] = by_method.get(charge.method, 0) + charge.energy_mj
    return {
        method.label: by_method[method] / energy_mj
        for method in sorted(by_method)
        if by_method[method]
    }


def _interval_g(charges: Iterable[Charge], embodied: Iterable[EmbodiedCharge]) -> Interval:
    """First order; see `services.simulation` for the drawn one."""
    return propagate(terms_ng(charges, embodied)).scaled(1 / NG_PER_G).not_below_zero()


def terms_ng(charges: Iterable[Charge], embodied: Iterable[EmbodiedCharge]) -> list[Term]:
    """What a score's interval is made of: nanograms with their sources of error."""
    return [*_operational_terms(charges), *map(_embodied_term, embodied)]


def _operational_terms(charges: Iterable[Charge]) -> Iterable[Term]:
    """One term per kind of charge, since a year of rows has few kinds; a gap stands alone."""
    sums: dict[tuple[Source, ...], int] = {}
    for place, charge in enumerate(charges):
        sources: tuple[Source, ...] = (
            intensity_source(charge.zone, charge.intensity_kind),
            pue_source(charge.zone, charge.pue_is_stated),
        )
        bounds = _bounds(charge)
        if bounds is not None:
            sources = (Source.of(("gap", place), bounds), *sources)
        if bounds is None or charge.method.is_measured:  # else they are the energy's own
            sources = (energy_source(charge.method, charge.device), *sources)
        sums[sources] = sums.get(sources, 0) + charge.operational_ng
    return [Term(ng, sources) for sources, ng in sums.items()]


def _bounds(charge: Charge) -> Interval | None:
    if charge.low_ng is None or charge.high_ng is None or not charge.operational_ng:
        return None
    return Interval(charge.operational_ng, charge.low_ng, charge.high_ng)


def _embodied_term(charge: EmbodiedCharge) -> Term:
    return Term(charge.embodied_ng, embodied_sources(charge.factor, charge.lifespan))


def embodied_sources(factor: Factor, lifespan: Factor) -> tuple[Source, Source]:
    """Of error: what the making emitted, and how long it serves."""
    years = Source.of(("factor", lifespan.id), lifespan.interval.reciprocal())
    return factor.uncertainty, years
