"""PUE and WUE by cloud region: what an operator published, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from carbon.domain.cloud_region_factors import CLOUD_REGIONS
from carbon.domain.factor import Factor, FactorKind, Tier, Unit
from carbon.domain.factor_book import FactorBook
from carbon.grid.cloud_regions import region_zone

BOOK = FactorBook()
NOW_MS = 1_772_452_800_000


def of_region(kind: FactorKind, region: str, book: FactorBook = BOOK) -> Factor | None:
    return book.of_region(kind, region, NOW_MS)


@pytest.mark.parametrize(
    ("kind", "region", "value"),
    [
        (FactorKind.PUE, "aws/eu-central-1", 1.24),
        (FactorKind.WUE, "aws/eu-central-1", 0.17),
        (FactorKind.PUE, "gcp/europe-west1", 1.08),
        (FactorKind.PUE, "azure/northeurope", 1.197),
        (FactorKind.WUE, "AZURE/NorthEurope", 0.03),
    ],
)
def test_a_region_has_its_operators_own_figure(kind: FactorKind, region: str, value: float) -> None:
    factor = of_region(kind, region)
    assert factor is not None
    assert (factor.value, factor.vintage in factor.id) == (value, True)


@pytest.mark.parametrize(
    ("kind", "region"),
    [
        (FactorKind.PUE, "aws/eu-south-1"),  # only a continent's mean is published
        (FactorKind.WUE, "aws/me-south-1"),
        (FactorKind.WUE, "gcp/us-central1"),  # water in gallons by place alone
        (FactorKind.PUE, "gcp/europe-west3"),
        (FactorKind.PUE, "azure/polandcentral"),  # a design figure alone
        (FactorKind.PUE, "aws/atlantis-1"),
    ],
)
def test_what_is_blank_at_the_operator_is_blank_here(kind: FactorKind, region: str) -> None:
    assert of_region(kind, region) is None


def test_every_figure_has_source_vintage_and_bounds_around_it() -> None:
    assert len({factor.id for factor in CLOUD_REGIONS}) == len(CLOUD_REGIONS) > 70
    for factor in CLOUD_REGIONS:
        provider, _, name = factor.subject.partition("/")
        assert region_zone(provider, name), factor.id
        assert (factor.vintage, factor.tier) == (factor.name, Tier.SUPPLIER)
        assert "https://" in factor.source
        assert factor.low < factor.value < factor.high
        is_pue = factor.kind is FactorKind.PUE
        assert factor.unit is (Unit.RATIO if is_pue else Unit.L_PER_KWH)
        assert factor.low > 1 if is_pue else factor.low > 0


def test_a_newer_figure_of_a_region_outweighs_what_ships_while_it_is_valid() -> None:
    shipped = of_region(FactorKind.PUE, "aws/eu-west-1")
    assert shipped is not None
    newer = replace(
        shipped,
        id="pue/aws/eu-west-1@2026",
        value=1.09,
        vintage="2026",
        recorded_ms=NOW_MS,
        valid_from_ms=NOW_MS,
        supersedes=shipped.id,
    )
    book = BOOK.with_factor(newer)
    assert of_region(FactorKind.PUE, "aws/eu-west-1", book) == newer
    assert book.of_region(FactorKind.PUE, "aws/eu-west-1", NOW_MS - 1) == shipped
