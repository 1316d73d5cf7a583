"""Factors: what ships, what a device gets, and what cannot be a factor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.factors import (
    GENERIC_FLAG,
    LIFESPAN,
    PUE,
    SHIPPED,
    Factor,
    FactorKind,
    LifeCycleStage,
    Tier,
    Unit,
    factor_for_device,
    sources_beside,
)
from carbon.domain.units import MS_PER_LIFESPAN_YEAR
from carbon.errors import InvalidInput

H100 = factor_for_device("gpu", "NVIDIA H100 80GB HBM3")


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100 SXM 80GB"),
        ("nvidia h100 pcie", "NVIDIA H100 SXM 80GB"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "NVIDIA H100 SXM 80GB"),
        ("NVIDIA A100-SXM4-40GB", "NVIDIA A100 SXM 40GB"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100 80GB"),
        ("NVIDIA A100 80 GB PCIe", "NVIDIA A100 80GB"),
        ("NVIDIA H200", "NVIDIA H200 141GB"),
        ("NVIDIA L4", "NVIDIA L4 24GB"),
        ("NVIDIA B200", "NVIDIA B200 180GB"),
    ],
)
def test_a_gpu_is_known_by_the_name_that_its_driver_gives(model: str, name: str) -> None:
    assert factor_for_device("gpu", model).name == name
    assert factor_for_device("GPU", model.upper()).name == name


@pytest.mark.parametrize("model", ["", "NVIDIA L40S", "NVIDIA GB200", "Tesla T4", "AMD MI300X"])
def test_a_gpu_that_nobody_published_gets_the_flagged_generic_factor(model: str) -> None:
    factor = factor_for_device("gpu", model)
    assert GENERIC_FLAG in factor.flags
    assert factor.tier is Tier.GENERIC


def test_not_naming_a_gpu_never_looks_better_than_naming_it() -> None:
    named = [factor for factor in SHIPPED if factor.subject == "gpu" and factor.name]
    generic = factor_for_device("gpu", "unheard of")
    assert all(factor_for_device("gpu", f.name).value <= generic.value for f in named)


@pytest.mark.parametrize(
    ("model", "gigabytes"),
    [("DDR5 512 GB", 512), ("384GB", 384), ("1007 GiB", 1007), ("2 TB", 2048), ("12 x 32GB", 384)],
)
def test_memory_goes_by_the_size_in_its_text(model: str, gigabytes: int) -> None:
    factor = factor_for_device("dram", model)
    assert factor.value == pytest.approx(gigabytes * 1.392, rel=0.001)
    assert GENERIC_FLAG not in factor.flags


@pytest.mark.parametrize("kind", ["cpu", "dram", "server", "module"])
def test_text_that_tells_nothing_gets_the_generic_factor_of_its_kind(kind: str) -> None:
    assert GENERIC_FLAG in factor_for_device(kind, "some part").flags


def test_no_size_at_all_is_not_taken_for_no_memory() -> None:
    assert GENERIC_FLAG in factor_for_device("dram", "0 GB").flags


def test_a_cpu_goes_by_its_cores() -> None:
    factor = factor_for_device("cpu", "AMD EPYC 7763 64-Core Processor")
    assert factor.value == pytest.approx(40.03, abs=0.01)


def test_servers_without_their_gpus_are_known_too() -> None:
    assert factor_for_device("server", "AWS p5.48xlarge").value == 5700
    assert factor_for_device("server", "Dell PowerEdge R740").value == pytest.approx(967.9)


def test_an_unknown_kind_says_so() -> None:
    assert "unknown_kind" in factor_for_device("npu", "NVIDIA H100").flags


@given(st.sampled_from(["gpu", "cpu", "dram", "module", "server", "nic"]), st.text(max_size=40))
def test_no_device_is_ever_free_and_every_factor_is_bounded(kind: str, model: str) -> None:
    factor = factor_for_device(kind, model)
    assert factor.total_g > 0
    assert factor.low < factor.value < factor.high


def test_shipped_factors_name_their_source_and_have_ids_of_their_own() -> None:
    assert len({factor.id for factor in SHIPPED}) == len(SHIPPED)
    assert all(f.source and f.licence and f.vintage for f in SHIPPED)


def test_a_modelled_or_generic_factor_is_flagged() -> None:
    assert {"modelled", "low_confidence"} <= set(factor_for_device("gpu", "NVIDIA H200").flags)
    assert "default_lifespan" in LIFESPAN.flags
    assert "pue_unset" in PUE.flags


def test_sources_that_disagree_stand_beside_the_default_and_within_its_bounds() -> None:
    others = sources_beside(H100)
    assert {round(factor.value) for factor in others} == {273, 575}
    assert all(H100.low <= factor.value <= H100.high for factor in others)


def test_a_life_is_four_years_of_365_days_bounded_by_three_and_six() -> None:
    assert LIFESPAN.duration_ms == 4 * MS_PER_LIFESPAN_YEAR
    assert (LIFESPAN.low, LIFESPAN.high) == (3, 6)


def test_a_footprint_that_includes_use_cannot_be_embodied() -> None:
    with pytest.raises(InvalidInput) as refused:
        replace(H100, life_cycle_stages=(LifeCycleStage.MANUFACTURE, LifeCycleStage.USE))
    assert refused.value.code == "use_phase_in_embodied"


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_zero_and_what_is_no_number_cannot_be_a_factor(value: float) -> None:
    with pytest.raises(InvalidInput) as refused:
        replace(H100, value=value, low=0.0)
    assert refused.value.code == "not_positive"


def test_bounds_must_hold_the_value() -> None:
    with pytest.raises(InvalidInput) as refused:
        replace(H100, low=H100.value + 1)
    assert refused.value.code == "bounds"


def test_a_kilogram_cannot_be_taken_for_a_gram_or_a_year() -> None:
    assert H100.total_g == 164_000
    assert replace(H100, unit=Unit.G).total_g == 164
    with pytest.raises(InvalidInput):
        replace(H100, unit=Unit.YEAR)
    with pytest.raises(InvalidInput):
        _ = LIFESPAN.total_g
    with pytest.raises(InvalidInput):
        _ = H100.duration_ms


def test_a_factor_carries_its_bounds_as_one_shared_source_of_error() -> None:
    factor = Factor(
        "x", FactorKind.PUE, "DE", "", 2.0, Unit.RATIO, 1.0, 3.0, "s", "l", "2025", Tier.SUPPLIER
    )
    assert (factor.uncertainty.below, factor.uncertainty.above) == (0.5, 0.5)
    assert factor.interval.value == 2.0
