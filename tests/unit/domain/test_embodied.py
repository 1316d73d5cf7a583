"""Embodied emissions: accrual over a device's life, and parametric footprints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.embodied import embodied_g, embodied_ng, end_of_life_ms
from carbon.domain.energy_model import teads_share_of_tdp, water_l
from carbon.domain.footprint import (
    CPU_MM2_PER_CORE,
    GpuCard,
    ServerModel,
    cpu_kg,
    dimm_kg,
    gpu_kg,
    scaled_by_memory_kg,
    ssd_kg,
    wafer_mm2,
)
from carbon.domain.llm_inference import (
    InferenceRequest,
    InferenceServer,
    footprint,
    generation_s,
    gpus_needed,
)
from carbon.domain.units import MS_PER_HOUR, MS_PER_LIFESPAN_YEAR, NG_PER_G, PPM

FOUR_YEARS_MS = 4 * MS_PER_LIFESPAN_YEAR
masses_g = st.floats(min_value=0.001, max_value=1e7)
times_ms = st.integers(min_value=0, max_value=10 * MS_PER_LIFESPAN_YEAR)
lifespans_ms = st.integers(min_value=MS_PER_HOUR, max_value=8 * MS_PER_LIFESPAN_YEAR)
shares_ppm = st.integers(min_value=0, max_value=PPM)


def test_an_hour_of_a_ton_over_four_years_is_the_specifications_example() -> None:
    assert embodied_g(1_000_000, 1, 35_040) == pytest.approx(28.538812785388128, rel=1e-12)
    assert embodied_ng(1_000_000, MS_PER_HOUR, FOUR_YEARS_MS) == 28_538_812_785


@given(masses_g, times_ms, lifespans_ms)
def test_a_device_is_never_charged_more_than_its_making(
    total_g: float, reserved_ms: int, lifespan_ms: int
) -> None:
    assert embodied_ng(total_g, reserved_ms, lifespan_ms) <= total_g * NG_PER_G


@given(masses_g, lifespans_ms, st.integers(0, MS_PER_LIFESPAN_YEAR))
def test_past_its_expected_life_nothing_more_accrues(
    total_g: float, lifespan_ms: int, beyond_ms: int
) -> None:
    whole = embodied_ng(total_g, lifespan_ms, lifespan_ms)
    assert embodied_ng(total_g, lifespan_ms + beyond_ms, lifespan_ms) == whole
    assert embodied_g(total_g, lifespan_ms + beyond_ms, lifespan_ms) == total_g


@given(masses_g, times_ms, lifespans_ms, shares_ppm, shares_ppm)
def test_a_larger_share_never_costs_less(
    total_g: float, reserved_ms: int, lifespan_ms: int, one: int, other: int
) -> None:
    small, large = sorted((one, other))
    assert embodied_ng(total_g, reserved_ms, lifespan_ms, small) <= embodied_ng(
        total_g, reserved_ms, lifespan_ms, large
    )


def test_an_expected_life_begins_with_the_first_service() -> None:
    assert end_of_life_ms(1000, FOUR_YEARS_MS) == 1000 + FOUR_YEARS_MS


def test_a_server_is_the_sum_of_its_parts_as_in_boaviztas_r740() -> None:
    parts = [2 * cpu_kg(24), 12 * dimm_kg(32), ssd_kg(400, 50.6), 145.314, 66.1, 6.68, 150.0]
    assert sum(parts) == pytest.approx(967.8678116103958, rel=1e-12)


def test_memory_of_the_two_sources_agrees_per_gigabyte() -> None:
    assert dimm_kg(32) / 32 == pytest.approx(533 / 384, rel=0.005)


@given(st.floats(min_value=1, max_value=900), st.floats(min_value=1.001, max_value=2))
def test_a_larger_die_costs_more_wafer_than_its_area_grows(die_mm2: float, by: float) -> None:
    assert wafer_mm2(die_mm2 * by) > wafer_mm2(die_mm2) > die_mm2
    if die_mm2 > 50:  # below that the kerf dominates
        assert wafer_mm2(die_mm2 * by) > wafer_mm2(die_mm2) * by


@pytest.mark.parametrize(
    ("card", "kg"),
    [
        (GpuCard(2810.4, 80, 6, 296.37, 0.78923, 0.90077, 1.69), 575.2),
        (GpuCard(1798.0, 40, 6, 105.0, 0.09, 1.25, 1.56), 273.4),
        (GpuCard(1798.0, 40, 6, 234.36, 0.387, 0.609, 1.23), 275.7),
        (GpuCard(390.96, 24, 12, 93.13, 0.0, 0.0871, 0.142), 113.6),
    ],
    ids=["H100 SXM", "A100 SXM 40", "A100 PCIe 40", "L4"],
)
def test_the_gpu_formula_gives_the_figures_that_boavizta_prints(card: GpuCard, kg: float) -> None:
    assert gpu_kg(card) == pytest.approx(kg, abs=0.05)


def test_only_the_memorys_part_grows_with_memory() -> None:
    assert scaled_by_memory_kg(164, 80, 80) == 164
    assert 164 < scaled_by_memory_kg(164, 80, 160) < 2 * 164


def test_the_default_server_of_the_impact_framework() -> None:
    assert ServerModel().total_g() == 1_000_000
    assert ServerModel().total_g(vcpus=2, gpus=1) == 1_250_000
    assert ServerModel().total_g(memory_gb=400) == pytest.approx(1_533_000)


def test_a_bigger_cpu_has_the_larger_footprint() -> None:
    assert cpu_kg(12, CPU_MM2_PER_CORE) < cpu_kg(24) < cpu_kg(64)


@pytest.mark.parametrize(
    ("load", "share"), [(0, 0.12), (10, 0.32), (30, 0.535), (50, 0.75), (100, 1.02)]
)
def test_power_follows_load_through_the_measured_points(load: float, share: float) -> None:
    assert teads_share_of_tdp(load) == pytest.approx(share)


@given(st.floats(0, 100), st.floats(0, 100))
def test_more_load_never_draws_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert teads_share_of_tdp(low) <= teads_share_of_tdp(high) + 1e-12


@pytest.mark.parametrize("load", [-1.0, 100.1, float("nan")])
def test_a_load_outside_0_to_100_is_refused(load: float) -> None:
    with pytest.raises(ValueError, match="outside 0 to 100"):
        teads_share_of_tdp(load)


def test_water_on_site_does_not_follow_pue() -> None:
    assert water_l(10, 0.4, 1.2, 0.0) == water_l(10, 0.4, 2.0, 0.0)


MIXTRAL = InferenceRequest(12.9, 46.7, 200, 10)


@pytest.mark.parametrize(("billions", "gpus"), [(8, 1), (33.4, 2), (46.7, 2), (70, 4), (405, 16)])
def test_a_model_takes_a_power_of_two_of_gpus(billions: float, gpus: int) -> None:
    assert gpus_needed(InferenceRequest(billions, billions, 1), InferenceServer()) == gpus


def test_pue_raises_the_energy_of_a_request_and_not_its_embodied_part() -> None:
    plain, housed = footprint(MIXTRAL), footprint(MIXTRAL, pue=1.5)
    assert housed.energy_kwh == pytest.approx(1.5 * plain.it_kwh)
    assert housed.embodied_g == plain.embodied_g


def test_a_request_takes_no_longer_than_its_caller_saw() -> None:
    assert generation_s(InferenceRequest(12.9, 46.7, 200, 0.5)) == 0.5
    assert generation_s(InferenceRequest(12.9, 46.7, 200)) > 0.5


@given(st.integers(min_value=1, max_value=5000))
def test_longer_answers_cost_in_proportion(tokens: int) -> None:
    one = footprint(InferenceRequest(8, 8, 1)).it_kwh
    assert footprint(InferenceRequest(8, 8, tokens)).it_kwh == pytest.approx(tokens * one)
