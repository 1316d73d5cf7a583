"""From generation to g/kWh: within its factors, blind to storage, silent where a kind is."""

from __future__ import annotations

import pytest
from grid_double.entsoe_shape import acknowledgement, document, period
from hypothesis import given
from hypothesis import strategies as st

from carbon.grid.entsoe_xml import XmlInvalid, read_generation
from carbon.grid.generation_mix import Output, mix_points
from carbon.grid.source_factors import IPCC_AR5, SETS, Fuel, SourceFactors

FUELS = {fuel.value: fuel for fuel in Fuel}
RATED = list(IPCC_AR5.g_per_kwh)
HOUR_MS = 3_600_000


def steady(mw: dict[Fuel, float]) -> dict[str, list[Output]]:
    return {fuel.value: [Output(0, HOUR_MS, power)] for fuel, power in mw.items()}


MIXES = st.dictionaries(st.sampled_from(RATED), st.floats(0.1, 1e5), min_size=1)


@given(MIXES)
def test_a_mix_lies_between_its_cleanest_and_its_dirtiest_plant(mw: dict[Fuel, float]) -> None:
    [point] = mix_points(steady(mw), FUELS, IPCC_AR5)
    factors = [IPCC_AR5.g_per_kwh[fuel] for fuel in mw]
    assert min(factors) - 1e-6 <= point.g_per_kwh <= max(factors) + 1e-6


@given(MIXES, st.floats(0.001, 1000))
def test_only_shares_count(mw: dict[Fuel, float], times: float) -> None:
    [one] = mix_points(steady(mw), FUELS, IPCC_AR5)
    [other] = mix_points(steady({f: p * times for f, p in mw.items()}), FUELS, IPCC_AR5)
    assert one.g_per_kwh == pytest.approx(other.g_per_kwh)


@given(MIXES, st.floats(-1e5, 1e5))
def test_storage_and_what_plants_draw_change_nothing(mw: dict[Fuel, float], power: float) -> None:
    more = steady(mw) | {"storage": [Output(0, HOUR_MS, power)]}
    assert mix_points(more, FUELS, IPCC_AR5) == mix_points(steady(mw), FUELS, IPCC_AR5)


def test_a_tenth_without_a_factor_is_borne_and_more_is_not() -> None:
    little = steady({Fuel.GAS: 91, Fuel.OTHER: 9})
    [point] = mix_points(little, FUELS, IPCC_AR5)
    assert point.g_per_kwh == IPCC_AR5.g_per_kwh[Fuel.GAS]
    assert mix_points(steady({Fuel.GAS: 80, Fuel.OTHER: 20}), FUELS, IPCC_AR5) == []


def test_nothing_generated_is_no_figure_and_never_zero() -> None:
    assert mix_points(steady({Fuel.SOLAR: 0.0}), FUELS, IPCC_AR5) == []
    assert mix_points({}, FUELS, IPCC_AR5) == []


@pytest.mark.parametrize("factors", SETS.values(), ids=SETS)
def test_sets_rate_what_burns_above_what_does_not(factors: SourceFactors) -> None:
    g = factors.g_per_kwh
    assert min(g[f] for f in (Fuel.COAL, Fuel.OIL, Fuel.GAS)) > 400
    assert max(g[f] for f in (Fuel.WIND, Fuel.NUCLEAR, Fuel.HYDRO, Fuel.SOLAR)) < 100
    assert all(value > 0 for value in g.values())
    assert Fuel.STORAGE not in g
    assert Fuel.OTHER not in g


def series(inner: str, side: str = "inBiddingZone_Domain.mRID") -> bytes:
    kind = "<MktPSRType><psrType>B04</psrType></MktPSRType>"
    return document(f"<TimeSeries><{side}>X</{side}>{kind}{inner}</TimeSeries>").encode()


@given(st.dictionaries(st.integers(1, 96), st.integers(0, 9999), min_size=1))
def test_a_left_out_point_repeats_the_one_before(given_mw: dict[int, int]) -> None:
    day = read_generation(series(period("PT15M", given_mw, 0, 24 * HOUR_MS)))["B04"]
    held = None
    expected = []
    for position in range(1, 97):
        held = given_mw.get(position, held)
        if held is not None:
            expected.append(Output((position - 1) * 900_000, position * 900_000, held))
    assert day == expected


@pytest.mark.parametrize("hours", [23, 24, 25])
def test_a_day_of_the_clock_change_has_its_own_number_of_hours(hours: int) -> None:
    day = period("PT60M", {1: 5}, 23 * HOUR_MS, (23 + hours) * HOUR_MS)
    assert len(read_generation(series(day))["B04"]) == hours


def test_no_data_is_empty_and_any_other_reason_is_told() -> None:
    assert read_generation(acknowledgement("999", "No matching data found").encode()) == {}
    with pytest.raises(XmlInvalid, match="too many"):
        read_generation(acknowledgement("999999", "too many requests").encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"<html></html>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><GL_MarketDocument>&a;</GL_MarketDocument>',
        series("<Period></Period>"),
        series(period("P1Y", {1: 5}, 0, HOUR_MS)),
        series(period("PT60M", {1: 5}, HOUR_MS, 0)),
        series(period("PT60M", {1: 5}, 0, HOUR_MS).replace(">5<", ">five<")),
    ],
)
def test_what_is_no_generation_is_refused(content: bytes) -> None:
    with pytest.raises(XmlInvalid):
        read_generation(content)
