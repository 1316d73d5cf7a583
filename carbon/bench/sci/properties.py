"""What must hold of every score, tried on many drawn at random."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from carbon.bench.figure import Figure, at_most
from carbon.domain.embodied import EmbodiedCharge
from carbon.domain.emissions import operational_ng
from carbon.domain.energy import Method
from carbon.domain.factors import LIFESPAN, factor_for_device
from carbon.domain.sci import Charge, Score, calculate, score, terms_ng
from carbon.domain.statement import Component, EmbodiedShare, FunctionalUnit
from carbon.services.sci.simulation import simulate

_CARD = factor_for_device("gpu", "NVIDIA H100 80GB HBM3")


def figures(quick: bool) -> list[Figure]:
    draw = Random("properties")
    ledgers = [_ledger(draw) for _ in range(50 if quick else 500)]
    return [
        at_most("R x k against SCI / k", max(map(_scaled, ledgers)), "1", 1e-12),
        at_most("scores that idle energy lowered", sum(map(_lowered, ledgers)), "scores", 0),
        at_most("scores that a cleaner hour raised", sum(map(_raised, ledgers)), "scores", 0),
        at_most("stated scores that were not linear", _stated(draw, quick), "1", 1e-12),
        at_most("change by order and partition", max(map(_shuffled, ledgers)), "1", 1e-12),
    ]


_Ledger = tuple[list[Charge], list[EmbodiedCharge], int, Random]


def _ledger(draw: Random) -> _Ledger:
    charges = [_charge(draw, draw.uniform(20, 900)) for _ in range(draw.randint(1, 30))]
    embodied = [EmbodiedCharge("gpu-0", draw.randint(1, 10**12), _CARD, LIFESPAN)]
    return charges, embodied, draw.randint(1, 10**9), draw


def _charge(draw: Random, g_per_kwh: float) -> Charge:
    energy_mj = draw.randint(1, 10**10)
    return Charge(
        device=f"gpu-{draw.randint(0, 7)}",
        method=draw.choice(list(Method)),
        zone=draw.choice(["DE", "GB"]),
        energy_mj=energy_mj,
        operational_ng=operational_ng(energy_mj, g_per_kwh),
        covered_ms=300_000,
    )


def _rate(result: Score) -> float:
    return result.sci_g_per_unit or 0.0


def _scaled(ledger: _Ledger) -> float:
    charges, embodied, count, draw = ledger
    k = draw.randint(2, 1_000)
    one, many = score(charges, embodied, count), score(charges, embodied, count * k)
    return abs(_rate(many) * k / _rate(one) - 1)


def _lowered(ledger: _Ledger) -> bool:
    charges, embodied, count, draw = ledger
    with_idle = score([*charges, _charge(draw, 1.0)], embodied, count)
    return _rate(with_idle) < _rate(score(charges, embodied, count))


def _raised(ledger: _Ledger) -> bool:
    charges, embodied, count, draw = ledger
    place = draw.randrange(len(charges))
    cleaner = list(charges)
    ng = charges[place].operational_ng
    cleaner[place] = replace(charges[place], operational_ng=int(ng * draw.random()))
    return _rate(score(cleaner, embodied, count)) > _rate(score(charges, embodied, count))


def _shuffled(ledger: _Ledger) -> float:
    """Value and drawn bounds, the charges halved and in another order."""
    charges, embodied, count, draw = ledger
    halves = [half for charge in charges for half in _halved(charge)]
    draw.shuffle(halves)
    one, other = score(charges, embodied, count), score(halves, embodied, count)
    drawn, drawn_of_halves = (simulate(terms_ng(each, embodied)) for each in (charges, halves))
    return max(
        abs(_rate(other) / _rate(one) - 1),
        abs(drawn_of_halves.low / drawn.low - 1),
        abs(drawn_of_halves.high / drawn.high - 1),
    )


def _halved(charge: Charge) -> tuple[Charge, Charge]:
    energy_mj, ng = charge.energy_mj // 2, charge.operational_ng // 2
    return (
        replace(charge, energy_mj=energy_mj, operational_ng=ng),
        replace(
            charge,
            energy_mj=charge.energy_mj - energy_mj,
            operational_ng=charge.operational_ng - ng,
        ),
    )


def _stated(draw: Random, quick: bool) -> float:
    """What POST /v1/sci/calculate answers for k times the units, and for parts of one whole."""
    worst = 0.0
    for _ in range(100 if quick else 1_000):
        whole = Component(
            "c",
            energy_kwh=draw.uniform(0.001, 1e4),
            intensity_g_per_kwh=draw.uniform(1, 900),
            pue=draw.uniform(1, 2),
            embodied=EmbodiedShare(
                draw.uniform(1, 1e6), draw.uniform(0, 1e7), 1.2e8, draw.random()
            ),
        )
        count, k = draw.uniform(1, 1e6), draw.uniform(2, 1e3)
        one = calculate([whole], FunctionalUnit("u", count)).sci_g_per_unit or 0.0
        many = calculate([whole], FunctionalUnit("u", count * k)).sci_g_per_unit or 0.0
        worst = max(worst, abs(many * k / one - 1))
    return worst
