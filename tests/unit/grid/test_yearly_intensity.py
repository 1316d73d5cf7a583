"""The figure that is always at hand, and how sure it says it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.intensity import EmissionScope, is_plausible
from carbon.domain.yearly import (
    WORLD,
    ZONE_NAMES,
    YearlyFigure,
    country_of,
    near_zones,
    normal_zone,
    yearly_intensity,
)
from carbon.errors import NotFound

ZONES = st.sampled_from(sorted(ZONE_NAMES))


@given(ZONES)
def test_every_bundled_zone_has_a_plausible_figure_with_year_and_source(zone: str) -> None:
    figure = yearly_intensity(zone)
    assert figure.zone == zone
    assert figure.exact
    assert is_plausible(figure.g_per_kwh)
    assert 2000 <= figure.year <= 2026
    assert figure.source
    assert figure.is_world is (zone == WORLD)


@given(ZONES.filter(lambda z: z != WORLD), st.text("ABCDEFGHIJ0123456789-", min_size=1))
def test_a_place_inside_a_country_never_gets_another_countrys_figure(zone: str, rest: str) -> None:
    inner = yearly_intensity(f"{country_of(zone)}-{rest}")
    assert not inner.exact or inner.zone in ZONE_NAMES
    if not inner.exact:
        assert inner.g_per_kwh == yearly_intensity(country_of(zone)).g_per_kwh


def found(zone: str, scope: EmissionScope | None = None) -> YearlyFigure | None:
    try:
        return yearly_intensity(zone, scope)
    except NotFound:
        return None


@given(ZONES, st.sampled_from(EmissionScope))
def test_a_figure_asked_for_in_one_scope_is_never_of_the_other(
    zone: str, scope: EmissionScope
) -> None:
    figure = found(zone, scope)
    assert figure is None or figure.scope is scope


@given(st.text(max_size=12))
def test_any_text_gives_a_plausible_figure_or_is_not_found(text: str) -> None:
    figure = found(text)
    assert figure is None or is_plausible(figure.g_per_kwh)
    assert set(near_zones(text)) <= set(ZONE_NAMES)


def test_germany_is_the_tables_own_row() -> None:
    figure = yearly_intensity("DE")
    assert (figure.g_per_kwh, figure.year, figure.exact) == (380.9, 2023, True)
    assert figure.flags == ("yearly_figure",)
    assert ZONE_NAMES["DE"] == "Germany"


@pytest.mark.parametrize("zone", ["DE-XX", "US-CAL-CISO", "NO-NO2"])
def test_a_sub_zone_falls_back_to_its_country_and_says_so(zone: str) -> None:
    figure = yearly_intensity(zone)
    assert figure.zone == zone
    assert not figure.exact
    assert not figure.is_world
    assert figure.g_per_kwh == yearly_intensity(country_of(zone)).g_per_kwh
    assert "country_figure" in figure.flags


def test_a_us_state_has_a_direct_figure_and_takes_the_countrys_for_the_life_cycle() -> None:
    state = yearly_intensity("US-CA")
    assert (state.g_per_kwh, state.scope, state.exact) == (179.1, EmissionScope.DIRECT, True)
    life_cycle = yearly_intensity("US-CA", EmissionScope.LIFECYCLE)
    assert life_cycle.g_per_kwh == yearly_intensity("US").g_per_kwh
    assert not life_cycle.exact


def test_a_canadian_province_is_far_from_its_neighbour() -> None:
    assert yearly_intensity("CA-QC").g_per_kwh < 50 < 600 < yearly_intensity("CA-AB").g_per_kwh


@pytest.mark.parametrize("zone", [None, "", "WORLD", "world"])
def test_no_zone_is_the_world_and_flagged(zone: str | None) -> None:
    figure = yearly_intensity(zone)
    assert figure.is_world
    assert figure.flags == ("yearly_figure", "world_figure")
    assert figure.g_per_kwh == 480.6


@pytest.mark.parametrize(
    ("text", "zone"), [("de", "DE"), (" gb ", "GB"), ("UK", "GB"), ("el", "GR")]
)
def test_common_spellings_are_understood(text: str, zone: str) -> None:
    assert normal_zone(text) == zone
    assert yearly_intensity(text).zone == zone


@pytest.mark.parametrize(("text", "near"), [("Germany", "DE"), ("Germnay", "DE"), ("DEU", "DE")])
def test_an_unknown_zone_names_what_may_have_been_meant(text: str, near: str) -> None:
    with pytest.raises(NotFound) as caught:
        yearly_intensity(text)
    assert caught.value.code == "unknown_zone"
    assert near in near_zones(text)
    assert near in caught.value.detail


def test_a_country_whose_figure_was_zero_is_missing_and_not_green() -> None:
    with pytest.raises(NotFound):
        yearly_intensity("CF")


def test_a_scope_that_is_not_bundled_is_said() -> None:
    with pytest.raises(NotFound, match="no bundled direct figure for zone DE; ask for lifecycle"):
        yearly_intensity("DE", EmissionScope.DIRECT)
