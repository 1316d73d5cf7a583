"""Whether 95 % of the truths lie within the stated bounds, and what drawing a year costs."""

from __future__ import annotations

import math
import time
from random import Random
from typing import Final

from carbon.bench.figure import Figure, at_most
from carbon.domain.embodied import EmbodiedCharge
from carbon.domain.emissions import operational_ng
from carbon.domain.energy import Method
from carbon.domain.factors import LIFESPAN, factor_for_device
from carbon.domain.intensity import PointKind
from carbon.domain.sci import Charge, terms_ng
from carbon.domain.uncertainty import Source, Term, propagate
from carbon.services.sci.simulation import DRAWS, simulate

_Z_95: Final = 1.959963984540054
_CARD = factor_for_device("gpu", "NVIDIA H100 80GB HBM3")
_HOURS: Final = 8_760


def figures(quick: bool) -> list[Figure]:
    trials = 400 if quick else 4_000
    draw = Random("coverage")
    inside = sum(_holds(draw) for _ in range(trials)) / trials
    share = Figure(
        "truths within the interval", 100 * inside, "%", "93 to 97", 0.93 <= inside <= 0.97
    )
    return [share, _against_first_order(draw), _year(draw)]


def _holds(draw: Random) -> bool:
    """A made ledger, its bounds, and a truth whose every source of error is drawn anew."""
    terms = _terms(draw, draw.randint(1, 48))
    bounds = simulate(terms)
    errors: dict[object, float] = {}
    truth = math.fsum(
        term.value * math.prod(_true(draw, errors, source) for source in term.sources)
        for term in terms
    )
    return bounds.low <= truth <= bounds.high


def _terms(draw: Random, hours: int) -> list[Term]:
    kinds = list(PointKind)
    zone_kind = {zone: draw.choice(kinds[:3]) for zone in ("DE", "GB")}
    charges = []
    for _ in range(hours):
        energy_mj, zone = draw.randint(10**6, 10**10), draw.choice(["DE", "GB"])
        charges.append(
            Charge(
                device=f"gpu-{draw.randint(0, 3)}",
                method=draw.choice([Method.COUNTER, Method.INTEGRATED, Method.MODELLED]),
                zone=zone,
                energy_mj=energy_mj,
                operational_ng=operational_ng(energy_mj, draw.uniform(30, 700)),
                covered_ms=3_600_000,
                intensity_kind=zone_kind[zone],
            )
        )
    return terms_ng(charges, [EmbodiedCharge("gpu-0", draw.randint(1, 10**11), _CARD, LIFESPAN)])


def _true(draw: Random, errors: dict[object, float], source: Source) -> float:
    """What one source multiplies the stated value with to make it true."""
    z = errors.setdefault(source.key, draw.gauss(0, 1))
    return max(0.0, 1 + z * (source.above if z > 0 else source.below) / _Z_95)


def _against_first_order(draw: Random) -> Figure:
    """On small errors, where both must agree: the widths' relative difference."""
    worst = 0.0
    for _ in range(20):
        terms = [
            Term(draw.uniform(1, 100), (Source(n, 0.03, 0.03), Source("feed", 0.05, 0.05)))
            for n in range(3)
        ]
        exact, drawn = propagate(terms), simulate(terms)
        worst = max(worst, abs((drawn.high - drawn.low) / (exact.high - exact.low) - 1))
    return at_most("drawn width against first order", 100 * worst, "%", 2.0)


def _year(draw: Random) -> Figure:
    terms = _terms(draw, _HOURS)
    began = time.perf_counter()
    simulate(terms, seed=f"cold {draw.random()}")
    took_ms = 1_000 * (time.perf_counter() - began)
    note = f"{DRAWS:,} draws, {_HOURS:,} hours, 4 cards, 3 methods, 2 zones, nothing remembered"
    return at_most("Monte Carlo of a year of hours", took_ms, "ms", 200.0, note)
