"""Experiments: what may be compared, how sure the difference is, and when it pays back."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.experiments.arms import (
    Arm,
    Block,
    Conditions,
    MethodClass,
    Treated,
    check_comparable,
    config_diff,
    interleaved,
)
from carbon.domain.experiments.comparison import Delta, delta, pairs_needed
from carbon.domain.experiments.student import t_cdf, t_quantile
from carbon.domain.experiments.techniques import FIELDS, Technique, check_parameters, technique_of
from carbon.domain.experiments.verdict import Caveat, Verdict, break_even, find
from carbon.domain.units import MJ_PER_KWH
from carbon.errors import InvalidInput

MINUTE = 60_000


def block(place: int, energy_mj: float, **others: Any) -> Block:
    """At 360 g/kWh: 1 mJ is 1e-7 g."""
    stated = {"operational_g": energy_mj * 360 / MJ_PER_KWH, "embodied_g": 0.0, "count": 1.0}
    return Block(place * MINUTE, (place + 1) * MINUTE, round(energy_mj), **{**stated, **others})


def conditions(**changed: Any) -> Conditions:
    plain = Conditions(
        boundary={"version": 1},
        unit="request",
        factors=frozenset({"embodied/gpu"}),
        intensity=frozenset({"DE from meter"}),
        selection={},
        methods=frozenset({"counter"}),
        method_class=MethodClass.MEASURED,
        hardware=frozenset({"gpu H100"}),
        zones=frozenset({"DE"}),
        pues=frozenset({1.2}),
    )
    return replace(plain, **changed)


def arms(
    baseline: list[float], treatment: list[float], drift: float = 0.0, **changed: Any
) -> tuple[Arm, Arm]:
    """A/B/A/B; each block draws a part more than the one before."""
    blocks: tuple[list[Block], list[Block]] = ([], [])
    for n, pair in enumerate(zip(baseline, treatment, strict=True)):
        for arm, energy_mj in enumerate(pair):
            place = 2 * n + arm
            blocks[arm].append(block(place, energy_mj * math.exp(drift * place)))
    return (
        Arm("baseline", "w", blocks[0], conditions()),
        Arm("treatment", "w", blocks[1], conditions(**changed)),
    )


def noisy(rng: random.Random, mean: float, n: int, noise: float) -> list[float]:
    return [mean * (1 + rng.gauss(0, noise)) for _ in range(n)]


# Student's t


@pytest.mark.parametrize(
    ("p", "degrees", "t"),
    [(0.975, 1, 12.7062), (0.975, 2, 4.3027), (0.975, 7, 2.3646), (0.995, 12, 3.0545)],
)
def test_quantiles_are_those_of_the_tables(p: float, degrees: int, t: float) -> None:
    assert t_quantile(p, degrees) == pytest.approx(t, abs=5e-5)


@given(st.floats(-30, 30), st.integers(1, 60))
def test_student_is_symmetric_and_a_probability(t: float, degrees: int) -> None:
    assert 0 <= t_cdf(t, degrees) <= 1
    assert t_cdf(t, degrees) + t_cdf(-t, degrees) == pytest.approx(1)


# Techniques


def test_there_are_ten_techniques_and_each_says_what_it_needs() -> None:
    assert len(Technique) == 10
    assert FIELDS.keys() == set(Technique)


@pytest.mark.parametrize("technique", Technique)
def test_a_technique_without_its_fields_is_refused_by_name(technique: Technique) -> None:
    with pytest.raises(InvalidInput, match=FIELDS[technique][0].name) as refused:
        check_parameters(technique, {})
    assert refused.value.code == "technique_field"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"structure": "round", "sparsity": 0.5}, "one of unstructured"),
        ({"structure": "structured", "sparsity": 1.5}, "from 0 to 1"),
        ({"structure": "structured", "sparsity": True}, "from 0 to 1"),
        ({"structure": " ", "sparsity": 0.1}, "text"),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused(parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        check_parameters(Technique.PRUNING, parameters)


def test_an_unknown_technique_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match="quantisation"):
        technique_of("magic")


# Comparable or not


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"boundary": {"version": 2}}, "boundary"),
        ({"unit": "token"}, "functional_unit"),
        ({"factors": frozenset({"embodied/gpu@2"})}, "factor_snapshot"),
        ({"intensity": frozenset({"DE from bundled"})}, "factor_snapshot"),
        ({"selection": {"only": "short"}}, "selection"),
        ({"method_class": MethodClass.MODELLED}, "method_class"),
        ({"hardware": frozenset({"gpu A100"})}, "hardware"),
        ({"zones": frozenset({"FR"})}, "zone"),
        ({"pues": frozenset({1.5})}, "pue"),
    ],
)
def test_arms_that_differ_are_refused_by_what_differs(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput, match=named) as refused:
        check_comparable(conditions(), conditions(**changed))
    assert refused.value.code == "arms_differ"
    assert refused.value.extra["differ"] == [named]


def test_everything_that_differs_is_named_at_once() -> None:
    other = conditions(unit="token", zones=frozenset({"FR"}), boundary={})
    with pytest.raises(InvalidInput) as refused:
        check_comparable(conditions(), other)
    assert refused.value.extra["differ"] == ["boundary", "functional_unit", "zone"]


def test_declared_hardware_brings_its_factors_and_a_declared_zone_its_price() -> None:
    other = conditions(
        hardware=frozenset({"cpu"}), factors=frozenset({"embodied/cpu"}), zones=frozenset({"FR"})
    )
    check_comparable(conditions(), other, [Treated.HARDWARE, Treated.ZONE])
    with pytest.raises(InvalidInput, match="factor_snapshot"):
        check_comparable(conditions(), replace(other, hardware=conditions().hardware), ["zone"])


def test_boundary_and_unit_can_never_be_declared_away() -> None:
    with pytest.raises(InvalidInput, match="boundary"):
        check_comparable(conditions(), conditions(boundary={}), list(Treated))


@pytest.mark.parametrize(
    ("shares", "kind"),
    [
        ({"counter": 0.5, "averaged": 0.5}, MethodClass.MEASURED),
        ({"modelled": 1.0}, MethodClass.MODELLED),
        ({"counter": 0.9, "modelled": 0.1}, MethodClass.MIXED),
        ({}, MethodClass.UNKNOWN),
    ],
)
def test_the_class_of_a_method(shares: dict[str, float], kind: MethodClass) -> None:
    assert MethodClass.of(shares) is kind


def test_a_config_diff_names_only_what_changed() -> None:
    diff = config_diff({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4})
    assert diff == {"b": (2, 3), "c": (None, 4)}


# Differences


def test_before_and_after_is_not_interleaved() -> None:
    first, after = [block(n, 1) for n in range(4)], [block(n, 1) for n in range(4, 8)]
    assert not interleaved(first, after)
    assert interleaved([block(n, 1) for n in (0, 2)], [block(n, 1) for n in (1, 3)])


@given(st.floats(-0.5, 2), st.floats(-0.05, 0.05), st.integers(4, 10))
@settings(max_examples=50)
def test_a_steady_drift_is_no_effect(effect: float, drift: float, n: int) -> None:
    rng = random.Random(n)
    plain, changed = noisy(rng, 1e9, n, 0.01), noisy(rng, 1e9 * (1 + effect), n, 0.01)
    still, drifting = (arms(plain, changed, drift=d) for d in (0.0, drift))
    found = [find(Technique.DEPLOYMENT, *pair).energy for pair in (still, drifting)]
    assert found[0].relative == pytest.approx(found[1].relative, abs=1e-6)
    assert found[0].relative_bounds == pytest.approx(found[1].relative_bounds, abs=1e-6)


def ratio(found: Delta) -> float:
    assert found.relative is not None
    return found.relative


@given(st.floats(0.01, 0.9), st.integers(0, 99))
def test_nothing_saves_more_than_all(noise: float, seed: int) -> None:
    rng = random.Random(seed)
    energies = [[1e9 * math.exp(rng.gauss(m, noise)) for _ in range(5)] for m in (0, -3)]
    bounds = find(Technique.PRUNING, *arms(*energies)).sci.relative_bounds
    assert bounds is not None
    assert bounds[0] > -1


@given(st.lists(st.floats(1, 1e6), min_size=4, max_size=8), st.floats(0.1, 10))
def test_arms_exchanged_turn_the_effect_around(energies: list[float], k: float) -> None:
    one = [block(2 * n, e * 1000) for n, e in enumerate(energies)]
    other = [block(2 * n + 1, e * 1000 * k) for n, e in enumerate(energies)]
    forth, back = (delta(a, b, lambda x: x.energy_mj) for a, b in ((one, other), (other, one)))
    assert (1 + ratio(forth)) * (1 + ratio(back)) == pytest.approx(1, rel=1e-6)
    assert (forth.verdict_low > 0) == (back.verdict_high < 0)


@given(st.floats(0.001, 1000))
def test_scaling_the_units_scales_the_rate_and_never_the_verdict(k: float) -> None:
    rng = random.Random(3)
    baseline, treatment = arms(noisy(rng, 1e9, 6, 0.02), noisy(rng, 0.9e9, 6, 0.02))
    scaled = [
        replace(arm, blocks=[replace(b, count=b.count * k) for b in arm.blocks])
        for arm in (baseline, treatment)
    ]
    plain = find(Technique.PRUNING, baseline, treatment)
    found = find(Technique.PRUNING, *scaled)
    assert found.sci.value == pytest.approx(plain.sci.value / k, rel=1e-6)
    assert found.verdict == plain.verdict == Verdict.SAVES


def test_what_a_site_has_of_its_own_cancels() -> None:
    rng = random.Random(5)
    here = arms(noisy(rng, 1e9, 5, 0.01), noisy(rng, 0.95e9, 5, 0.01))
    there = arms(noisy(rng, 4e9, 5, 0.01), noisy(rng, 3.8e9, 5, 0.01))
    both = [
        replace(
            here[arm],
            blocks=[
                *(replace(b, site="a") for b in here[arm].blocks),
                *(replace(b, site="b") for b in there[arm].blocks),
            ],
        )
        for arm in (0, 1)
    ]
    found = find(Technique.PRUNING, *both)
    assert found.verdict is Verdict.SAVES
    assert found.energy.relative_bounds is not None
    assert found.energy.relative_bounds[0] <= -0.05 <= found.energy.relative_bounds[1]


def test_the_weather_of_an_hour_is_no_effect_but_a_moved_job_is() -> None:
    """Same energy, half the price: only where time is the treatment does it count."""
    baseline, treatment = arms([1e9] * 5, [1e9] * 5)
    cheap = replace(
        treatment, blocks=[replace(b, operational_g=b.operational_g / 2) for b in treatment.blocks]
    )
    still = find(Technique.DEPLOYMENT, baseline, cheap)
    assert still.sci.value == pytest.approx(0, abs=1e-9)
    assert still.verdict is Verdict.INCONCLUSIVE
    moved = find(Technique.CLEAN_HOURS, baseline, cheap)
    assert (moved.verdict, moved.sci.relative) == (Verdict.SAVES, pytest.approx(-0.5))


def test_other_sensors_widen_the_interval() -> None:
    pair = arms([1e9, 1.001e9, 0.999e9, 1e9], [0.95e9, 0.951e9, 0.949e9, 0.95e9])
    assert find(Technique.DEPLOYMENT, *pair).verdict is Verdict.SAVES
    found = find(Technique.DEPLOYMENT, *pair, treats=[Treated.HARDWARE])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert Caveat.OTHER_SENSORS in found.caveats


@pytest.mark.parametrize("n", [0, 1])
def test_one_block_is_no_experiment(n: int) -> None:
    baseline, treatment = arms([1e9] * 4, [1e9] * 4)
    with pytest.raises(InvalidInput, match="two or more") as refused:
        find(Technique.PRUNING, baseline, replace(treatment, blocks=treatment.blocks[:n]))
    assert refused.value.code == "too_few_blocks"


def test_a_block_without_units_is_refused() -> None:
    baseline, treatment = arms([1e9] * 4, [1e9] * 4)
    empty = [replace(treatment.blocks[0], count=0.0), *treatment.blocks[1:]]
    with pytest.raises(InvalidInput, match="no unit"):
        find(Technique.PRUNING, baseline, replace(treatment, blocks=empty))


# Pay-back


def test_break_even_counts_the_units_until_the_cost_is_paid() -> None:
    pair = arms([1e9, 1.01e9, 0.99e9, 1e9], [0.5e9, 0.505e9, 0.495e9, 0.5e9])
    found = find(Technique.DISTILLATION, *pair, cost_g=1000.0)
    paid = found.break_even
    assert paid is not None
    assert paid.count == pytest.approx(1000 / -found.sci.value)
    assert paid.low <= paid.count <= paid.high  # type: ignore[operator]
    assert Caveat.COST_NOT_STATED in find(Technique.DISTILLATION, *pair).caveats


def test_nothing_is_paid_back_without_a_sure_saving() -> None:
    costs = find(Technique.PRUNING, *arms([1e9] * 4, [1.2e9] * 4)).sci
    assert break_even(10, costs).reason == "no_saving"
    rng = random.Random(2)
    unsure = find(Technique.PRUNING, *arms(noisy(rng, 1e9, 4, 0.3), noisy(rng, 0.95e9, 4, 0.3))).sci
    if unsure.value < 0:
        assert break_even(10, unsure).high is None


def test_the_total_stands_beside_the_rate() -> None:
    """Half the rate with four times the use emits twice as much."""
    baseline, treatment = arms([1e9] * 4, [2e9] * 4)
    more = replace(treatment, blocks=[replace(b, count=4.0) for b in treatment.blocks])
    found = find(Technique.MODEL_SELECTION, baseline, more)
    assert found.verdict is Verdict.SAVES
    assert found.rebound.treatment_g_per_day == pytest.approx(2 * found.rebound.baseline_g_per_day)
    assert found.rebound.treatment_count_per_day == 4 * found.rebound.baseline_count_per_day


# How often it errs


def test_the_interval_covers_the_truth_in_about_95_percent() -> None:
    rng = random.Random(11)
    inside = 0
    for _ in range(400):
        found = delta(*_simulated(rng, 8, 0.03, 0.95), lambda b: b.energy_mj)
        inside += found.low <= -5e7 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_blocks_are_as_many_as_the_power_needs() -> None:
    pairs = pairs_needed(0.05, 0.03)
    rng = random.Random(12)
    saved = sum(
        delta(*_simulated(rng, pairs, 0.03, 0.95), lambda b: b.energy_mj).verdict_high < 0
        for _ in range(300)
    )
    assert saved >= 270
    assert pairs_needed(0.1, 0.03) < pairs < pairs_needed(0.05, 0.06)
    with pytest.raises(ValueError, match="above 0"):
        pairs_needed(0.0, 0.03)


def _simulated(
    rng: random.Random, pairs: int, noise: float, ratio: float
) -> tuple[list[Block], list[Block]]:
    drift = rng.gauss(0, 0.01)
    made: tuple[list[Block], list[Block]] = ([], [])
    for place in range(2 * pairs):
        mean = 1e9 * (ratio if place % 2 else 1.0)
        energy_mj = mean + 1e9 * (rng.gauss(0, noise) + drift * place)
        made[place % 2].append(block(place, energy_mj))
    assert all(math.isfinite(b.energy_mj) for b in made[0])
    return made
