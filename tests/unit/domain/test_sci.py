"""SCI of stated figures and of the ledger's charges."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.embodied import EmbodiedCharge
from carbon.domain.emissions import operational_ng
from carbon.domain.energy import Method
from carbon.domain.factors import LIFESPAN, factor_for_device
from carbon.domain.intensity import PointKind
from carbon.domain.sci import (
    Charge,
    NoScore,
    calculate,
    count_at_rate,
    relative_change,
    score,
)
from carbon.domain.statement import Component, EmbodiedShare, FunctionalUnit
from carbon.domain.units import NG_PER_G
from carbon.errors import InvalidInput
from carbon.wire.sci import CalculateRequest, calculated

amounts = st.floats(min_value=0, max_value=1e9, allow_subnormal=False)
shares = st.builds(
    EmbodiedShare,
    total_g=amounts,
    reserved_s=amounts,
    lifespan_s=st.floats(min_value=1, max_value=1e9),
    share=st.floats(min_value=0, max_value=1),
)
metered = st.builds(
    Component,
    name=st.just(""),
    energy_kwh=amounts,
    intensity_g_per_kwh=amounts,
    pue=st.none() | st.floats(min_value=1, max_value=3),
    embodied=st.none() | shares,
)
sourced = st.builds(
    Component,
    name=st.just(""),
    operational_g=st.none() | amounts,
    embodied_g=st.none() | amounts,
)
component_lists = st.lists(metered | sourced, min_size=1, max_size=6).map(
    lambda parts: [replace(part, name=f"c{place}") for place, part in enumerate(parts)]
)
counts = st.floats(min_value=0.001, max_value=1e12)


def close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-300)


@given(component_lists, counts)
def test_components_sum_to_the_total(parts: list[Component], count: float) -> None:
    result = calculate(parts, FunctionalUnit("request", count))
    assert close(math.fsum(c.total_g for c in result.components), result.total_g)
    assert close(result.operational_g + result.embodied_g, result.total_g)
    assert result.sci_g_per_unit is not None
    by_part = math.fsum(c.sci_g_per_unit or 0.0 for c in result.components)
    assert close(by_part, result.sci_g_per_unit)


@given(component_lists, counts, st.floats(min_value=0.01, max_value=1000))
def test_k_times_the_units_is_a_kth_of_the_score(
    parts: list[Component], count: float, k: float
) -> None:
    one = calculate(parts, FunctionalUnit("request", count)).sci_g_per_unit
    many = calculate(parts, FunctionalUnit("request", count * k)).sci_g_per_unit
    assert one is not None
    assert many is not None
    assert close(many * k, one)


@given(component_lists, st.randoms(use_true_random=False))
def test_the_order_of_components_changes_nothing(parts: list[Component], rng: Any) -> None:
    assert close(calculate(rng.sample(parts, len(parts))).total_g, calculate(parts).total_g)


@given(component_lists, amounts)
def test_adding_idle_energy_never_lowers_the_score(parts: list[Component], idle: float) -> None:
    unit = FunctionalUnit("request", 7)
    with_idle = [*parts, Component("idle", energy_kwh=idle, intensity_g_per_kwh=300)]
    before = calculate(parts, unit).sci_g_per_unit
    after = calculate(with_idle, unit).sci_g_per_unit
    assert before is not None
    assert after is not None
    assert after >= before


@given(amounts, amounts, amounts)
def test_a_cleaner_hour_never_raises_the_score(energy: float, one: float, other: float) -> None:
    clean, dirty = sorted((one, other))
    grams = [
        calculate([Component("c", energy_kwh=energy, intensity_g_per_kwh=i)]).total_g
        for i in (clean, dirty)
    ]
    assert grams[0] <= grams[1]


@given(st.lists(amounts, min_size=2, max_size=8))
def test_splitting_a_component_in_parts_changes_nothing(kwh: list[float]) -> None:
    whole = Component("whole", energy_kwh=math.fsum(kwh), intensity_g_per_kwh=123.4)
    parts = [Component(f"p{i}", energy_kwh=e, intensity_g_per_kwh=123.4) for i, e in enumerate(kwh)]
    assert close(calculate([whole]).total_g, calculate(parts).total_g)


@given(shares)
def test_reserved_time_beyond_the_lifespan_costs_nothing_more(share: EmbodiedShare) -> None:
    result = calculate([Component("c", embodied=share)])
    assert result.total_g <= share.total_g * share.share * (1 + 1e-12)


def test_energy_by_intensity_by_pue_plus_the_share_of_the_hardware() -> None:
    part = Component(
        "gpu",
        energy_kwh=10,
        intensity_g_per_kwh=400,
        pue=1.2,
        embodied=EmbodiedShare(164_000, 3600, 4 * 365 * 86_400, 1),
    )
    result = calculate([part], FunctionalUnit("token", 1_000_000))
    assert result.operational_g == pytest.approx(4800)
    assert result.embodied_g == pytest.approx(164_000 / 35_040)
    assert result.sci_g_per_unit == pytest.approx((4800 + 164_000 / 35_040) / 1e6)
    assert result.not_stated == ()


def test_what_is_absent_counts_nothing_and_is_listed() -> None:
    result = calculate([Component("api", embodied_g=1.0), Component("db", operational_g=2.0)])
    assert result.not_stated == ("api.operational", "db.embodied", "functional_unit")
    assert result.total_g == 3.0
    assert result.sci_g_per_unit is None


def test_a_stated_zero_is_stated() -> None:
    result = calculate([Component("c", operational_g=0.0, embodied_g=0.0)], FunctionalUnit("x", 1))
    assert result.not_stated == ()
    assert result.sci_g_per_unit == 0.0


def test_no_units_give_no_score_and_never_the_total() -> None:
    result = calculate([Component("c", operational_g=5.0)], FunctionalUnit("request", 0))
    assert result.sci_g_per_unit is None
    assert result.components[0].sci_g_per_unit is None
    assert result.total_g == 5.0


GOOD_SHARE = EmbodiedShare(1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (Component("c", energy_kwh=1), "missing_intensity"),
        (Component("c", intensity_g_per_kwh=1), "missing_energy"),
        (Component("c", pue=1.5, embodied_g=1), "missing_energy"),
        (
            Component("c", operational_g=1, energy_kwh=1, intensity_g_per_kwh=1),
            "stated_twice",
        ),
        (Component("c", operational_g=1, pue=1.2), "stated_twice"),
        (Component("c", embodied=GOOD_SHARE, embodied_g=1), "stated_twice"),
        (Component("c", operational_g=-1), "negative_value"),
        (Component("c", embodied=replace(GOOD_SHARE, reserved_s=-1)), "negative_value"),
        (Component("c", operational_g=math.nan), "out_of_range"),
        (Component("c", energy_kwh=1e200, intensity_g_per_kwh=1e200), "out_of_range"),
        (Component("c", energy_kwh=1, intensity_g_per_kwh=1, pue=0.9), "pue_below_one"),
        (Component("c", embodied=replace(GOOD_SHARE, lifespan_s=0)), "zero_lifespan"),
        (Component("c", embodied=replace(GOOD_SHARE, share=1.5)), "share_above_one"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(part: Component, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        calculate([part])
    assert refused.value.code == code


def test_components_must_be_there_and_have_names_of_their_own() -> None:
    with pytest.raises(InvalidInput, match="at least one"):
        calculate([])
    with pytest.raises(InvalidInput) as refused:
        calculate([Component("c"), Component("c")])
    assert refused.value.code == "duplicate_component"


@pytest.mark.parametrize(("count", "code"), [(-1, "negative_value"), (1e-300, "out_of_range")])
def test_a_count_below_zero_or_next_to_it_is_refused(count: float, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        calculate([Component("c", operational_g=1e200)], FunctionalUnit("x", count))
    assert refused.value.code == code


def test_sums_that_overflow_are_refused() -> None:
    parts = [Component(name, operational_g=1e308) for name in "abc"]
    with pytest.raises(InvalidInput):
        calculate(parts)


def test_a_rate_times_a_time_is_a_count() -> None:
    assert count_at_rate(10564.65, 3600) == pytest.approx(38_032_740)


def test_change_is_told_against_the_baseline() -> None:
    assert relative_change(8.0, 6.0) == -0.25


def decode(body: str) -> CalculateRequest:
    return msgspec.json.decode(body.encode(), type=CalculateRequest)


def test_the_body_and_the_answer_have_the_contracts_fields() -> None:
    request = decode(
        """{"components": [{"name": "a", "energy_kwh": 2, "intensity_g_per_kwh": 50.0,
        "embodied": {"total_g": 35040, "reserved_s": 3600, "lifespan_s": 126144000, "share": 0.5}},
        {"name": "b", "operational_g": 1, "embodied_g": 1}],
        "functional_unit": {"name": "token", "count": 10}}"""
    )
    answer = msgspec.to_builtins(calculated(request))
    assert answer == {
        "components": [
            {
                "name": "a",
                "operational_g": 100.0,
                "embodied_g": pytest.approx(0.5),
                "total_g": pytest.approx(100.5),
                "sci_g_per_unit": pytest.approx(10.05),
            },
            {
                "name": "b",
                "operational_g": 1.0,
                "embodied_g": 1.0,
                "total_g": 2.0,
                "sci_g_per_unit": 0.2,
            },
        ],
        "operational_g": 101.0,
        "embodied_g": pytest.approx(1.5),
        "total_g": pytest.approx(102.5),
        "sci_g_per_unit": pytest.approx(10.25),
        "not_stated": [],
    }


def test_a_score_that_is_not_there_is_null_in_the_answer() -> None:
    answer = calculated(decode('{"components": [{"name": "a", "operational_g": 1}]}'))
    assert b'"sci_g_per_unit":null' in msgspec.json.encode(answer)
    assert answer.not_stated == ["a.embodied", "functional_unit"]


@pytest.mark.parametrize(
    "body",
    [
        '{"components": [{"name": "a", "embodied_kg": 1}]}',
        '{"components": [{"name": "a"}], "offsets_g": 1}',
        '{"components": [{"name": "a", "operational_g": "1"}]}',
        '{"components": [{"name": "a", "operational_g": true}]}',
        '{"components": [{"name": "a", "operational_g": NaN}]}',
        '{"components": [{"name": "a", "operational_g": 1e400}]}',
        '{"components": [{"name": "", "operational_g": 1}]}',
        '{"components": [{"name": "a", "embodied": {"total_g": 1}}]}',
        '{"components": [{"name": "a"}], "functional_unit": {"count": 1}}',
    ],
)
def test_a_body_with_a_typo_or_no_number_is_refused(body: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(body)


# The ledger's score.

charges_of_any_kind = st.lists(
    st.builds(
        Charge,
        device=st.integers(1, 4),
        method=st.sampled_from(Method),
        zone=st.sampled_from(["DE", "FR", "GB"]),
        energy_mj=st.integers(0, 1 << 45),
        operational_ng=st.integers(0, 1 << 50),
        covered_ms=st.integers(0, 300_000),
        intensity_kind=st.sampled_from(PointKind),
    ),
    max_size=12,
)
GPU = factor_for_device("gpu", "NVIDIA H100 80GB HBM3")
embodied_charges = st.lists(
    st.builds(
        EmbodiedCharge,
        device=st.integers(1, 4),
        embodied_ng=st.integers(0, 1 << 45),
        factor=st.sampled_from([GPU, factor_for_device("cpu", "64 cores")]),
        lifespan=st.just(LIFESPAN),
    ),
    max_size=4,
)


def charge(energy_mj: int = 3_600_000_000, **other: Any) -> Charge:
    fields: dict[str, Any] = {
        "device": "gpu0",
        "method": Method.COUNTER,
        "zone": "DE",
        "energy_mj": energy_mj,
        "operational_ng": operational_ng(energy_mj, 400.0),
        "covered_ms": 300_000,
    }
    return Charge(**(fields | other))


@given(charges_of_any_kind, embodied_charges, st.integers(0, 10**9))
def test_measured_and_estimated_are_the_whole_to_the_nanogram(
    charges: list[Charge], embodied: list[EmbodiedCharge], count: int
) -> None:
    result = score(charges, embodied, count)
    assert result.measured_ng + result.estimated_ng == sum(c.operational_ng for c in charges)
    assert result.operational_ng == result.measured_ng + result.estimated_ng
    assert result.embodied_ng == sum(e.embodied_ng for e in embodied)
    assert result.total_g == pytest.approx(result.operational_g + result.embodied_g)


@given(charges_of_any_kind, embodied_charges, st.integers(1, 10**9))
def test_the_score_lies_within_its_bounds(
    charges: list[Charge], embodied: list[EmbodiedCharge], count: int
) -> None:
    result = score(charges, embodied, count)
    if result.reason is None:
        assert result.sci_g_per_unit is not None
        assert result.low is not None
        assert result.high is not None
        slack = 1e-12 * result.high
        assert 0 <= result.low <= result.sci_g_per_unit + slack
        assert result.sci_g_per_unit <= result.high + slack


@given(charges_of_any_kind, embodied_charges, st.randoms(use_true_random=False))
def test_neither_order_nor_partition_changes_the_score(
    charges: list[Charge], embodied: list[EmbodiedCharge], rng: Any
) -> None:
    pieces = [piece for whole in charges for piece in halves(whole)]
    rng.shuffle(pieces)
    one, other = score(charges, embodied, 9), score(pieces, embodied, 9)
    assert one.sci_g_per_unit == other.sci_g_per_unit
    assert one.methods == other.methods
    assert other.total.low == pytest.approx(one.total.low, rel=1e-9, abs=1e-9)
    assert other.total.high == pytest.approx(one.total.high, rel=1e-9, abs=1e-9)


def halves(whole: Charge) -> list[Charge]:
    half = replace(
        whole,
        energy_mj=whole.energy_mj // 2,
        operational_ng=whole.operational_ng // 2,
        covered_ms=whole.covered_ms // 2,
    )
    rest = replace(
        whole,
        energy_mj=whole.energy_mj - half.energy_mj,
        operational_ng=whole.operational_ng - half.operational_ng,
        covered_ms=whole.covered_ms - half.covered_ms,
    )
    return [half, rest]


@given(charges_of_any_kind, charges_of_any_kind, st.integers(1, 10**6))
def test_idle_never_lowers_the_ledgers_score(
    charges: list[Charge], idle: list[Charge], count: int
) -> None:
    before = score([charge(), *charges], [], count).sci_g_per_unit
    after = score([charge(), *charges, *idle], [], count).sci_g_per_unit
    assert before is not None
    assert after is not None
    assert after >= before


@given(charges_of_any_kind)
def test_shares_of_the_methods_sum_to_one(charges: list[Charge]) -> None:
    result = score(charges, [], 1)
    if result.energy_mj:
        assert math.fsum(result.methods.values()) == pytest.approx(1.0)
    else:
        assert result.methods == {}


def test_two_windows_score_as_the_ratio_of_sums_and_not_as_a_mean_of_ratios() -> None:
    busy, quiet = [charge(operational_ng=100 * NG_PER_G)], [charge(operational_ng=90 * NG_PER_G)]
    together = score(busy + quiet, [], 1000 + 10).sci_g_per_unit
    assert together == pytest.approx(190 / 1010)
    assert together != pytest.approx((100 / 1000 + 90 / 10) / 2)


def test_the_score_is_the_exact_ratio_rounded_once() -> None:
    result = score([charge(operational_ng=1)], [], 3)
    assert result.sci_g_per_unit == float(Fraction(1, 3 * NG_PER_G))


def test_measured_alone_is_never_called_the_total() -> None:
    result = score([charge(), charge(method=Method.ESTIMATED)], [], 1)
    assert result.measured_g == result.estimated_g == 400
    assert result.operational_g == 800
    assert result.methods == {"counter": 0.5, "estimated": 0.5}
    assert result.zones == ("DE",)
    assert result.covered_ms == 600_000


@pytest.mark.parametrize(
    ("charges", "count", "reason"),
    [
        ([charge()], 0, NoScore.NO_UNITS),
        ([], 5, NoScore.NO_ENERGY),
        ([charge(energy_mj=0)], 5, NoScore.NO_ENERGY),
        ([], 0, NoScore.NO_ENERGY),
    ],
)
def test_without_units_or_energy_there_is_a_reason_and_no_score(
    charges: list[Charge], count: int, reason: NoScore
) -> None:
    result = score(charges, [EmbodiedCharge(1, NG_PER_G, GPU, LIFESPAN)], count)
    assert result.reason is reason
    assert result.sci_g_per_unit is result.low is result.high is None
    assert result.embodied_g == 1


def test_one_sensor_and_one_zone_bound_the_score_in_quadrature() -> None:
    result = score([charge(), charge()], [], 800)
    half_width = math.hypot(0.05, 0.10, 0.05)
    assert result.high == pytest.approx(1 + half_width)
    assert result.low == pytest.approx(1 - half_width)


def test_a_pue_that_nobody_stated_raises_the_upper_bound_alone() -> None:
    result = score([charge(pue_is_stated=False)], [], 400)
    assert result.high == pytest.approx(1 + math.hypot(0.05, 0.10, 0.58))
    assert result.low == pytest.approx(1 - math.hypot(0.05, 0.10))


def test_two_cards_err_apart_and_their_zone_together() -> None:
    result = score([charge(), charge(device="gpu1")], [], 800)
    assert result.high == pytest.approx(1 + math.hypot(0.05 / math.sqrt(2), 0.10, 0.05))


def test_a_gap_is_bounded_by_its_lowest_and_highest_intensity() -> None:
    gap = charge(method=Method.BRIDGED, low_ng=100 * NG_PER_G, high_ng=600 * NG_PER_G)
    result = score([gap], [], 400)
    assert result.low == pytest.approx(1 - math.hypot(0.05, 0.75, 0.10, 0.05))
    assert result.high == pytest.approx(1 + math.hypot(0.05, 0.5, 0.10, 0.05))


def test_the_life_of_the_hardware_widens_the_score_more_upwards() -> None:
    cpu = factor_for_device("cpu", "64 cores")
    bounded = score([charge()], [EmbodiedCharge(1, 400 * NG_PER_G, cpu, LIFESPAN)], 1).total
    assert bounded.high - bounded.value > bounded.value - bounded.low


def test_an_estimate_is_less_sure_than_a_meter() -> None:
    sure = score([charge()], [], 1).total
    unsure = score([charge(method=Method.ESTIMATED)], [], 1).total
    assert unsure.high > sure.high
    assert unsure.low < sure.low
