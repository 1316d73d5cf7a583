"""Sets of factors by kind of plant: kept as factors, superseded with a trace, chosen by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest
from grid_double import GridDouble
from grid_double.eia_files_shape import PATH
from sqlalchemy import Engine

from carbon.clock import FakeClock
from carbon.domain.factor import Factor, FactorKind
from carbon.domain.factor_book import FactorBook
from carbon.domain.source_factors import AR5, SOURCE_FACTORS, SRREN, Fuel
from carbon.errors import InvalidInput
from carbon.grid.feed import Feed
from carbon.grid.source_factors import IPCC_AR5, IPCC_SRREN, source_factors
from carbon.services.context import Context
from carbon.services.grid.feeds import build_feeds
from carbon.services.sci.factors import list_factors
from carbon.storage.engine import writing
from carbon.storage.factors import insert_factor

HOUR_MS = 3_600_000
COAL = next(f for f in SOURCE_FACTORS if f.id == f"intensity/coal@{AR5}")


def study(value: float, from_ms: int = 0, **changes: object) -> Factor:
    made = replace(
        COAL, id="intensity/coal@study", value=value, supersedes=COAL.id, valid_from_ms=from_ms
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_sets_of_the_ipcc_are_factors_and_differ_by_a_fifth_on_coal() -> None:
    ar5, srren = IPCC_AR5.g_per_kwh, IPCC_SRREN.g_per_kwh
    assert srren[Fuel.COAL] / ar5[Fuel.COAL] == pytest.approx(1.22, abs=0.01)
    assert set(ar5) == set(srren) == set(Fuel) - {Fuel.STORAGE, Fuel.OTHER}
    for factor in SOURCE_FACTORS:
        assert factor.kind is FactorKind.INTENSITY
        assert factor.low <= factor.value <= factor.high
        assert "table A.I" in factor.source


def test_they_are_listed_with_all_others(
    memory: Engine, new_context: Callable[[Engine], Context]
) -> None:
    listed = list_factors(new_context(memory), FactorKind.INTENSITY).factors
    assert {f"intensity/coal@{AR5}", f"intensity/coal@{SRREN}"} <= {one.id for one in listed}
    assert {one.unit for one in listed} == {"gCO2e/kWh"}


def test_a_superseded_figure_counts_from_its_time_on_and_changes_the_set_s_name() -> None:
    book = FactorBook().with_factor(study(900.0, from_ms=1_000))
    before, after = (source_factors(book, AR5, at_ms) for at_ms in (999, 1_000))
    assert before == IPCC_AR5
    assert after.g_per_kwh[Fuel.COAL] == 900.0
    assert after.g_per_kwh[Fuel.GAS] == IPCC_AR5.g_per_kwh[Fuel.GAS]
    assert after.version.startswith(f"{AR5}_")
    again = FactorBook((replace(study(900.0, from_ms=1_000), id="intensity/coal@study-2"),))
    assert source_factors(again, AR5, 1_000).version != after.version


def test_a_successor_that_begins_where_the_first_ends_holds() -> None:
    first = replace(COAL, id="intensity/coal@own", name="own", valid_to_ms=5)
    book = FactorBook().with_factor(first)
    later = replace(first, id="intensity/coal@own2", value=800.0, valid_from_ms=5, valid_to_ms=None)
    book = book.with_factor(replace(later, supersedes=first.id))
    assert source_factors(book, "own", 4).g_per_kwh == {Fuel.COAL: COAL.value}
    assert source_factors(book, "own", 6).g_per_kwh == {Fuel.COAL: 800.0}


def test_an_unknown_set_names_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=AR5) as refused:
        source_factors(FactorBook(), "nowhere", 0)
    assert refused.value.code == "unknown_factor_set"


def test_a_subject_that_is_no_fuel_is_passed_over() -> None:
    odd = replace(COAL, id="intensity/peat@own", subject="peat", name="own")
    with pytest.raises(InvalidInput):
        source_factors(FactorBook((odd,)), "own", 0)


@pytest.fixture
def make(
    memory: Engine,
    new_context: Callable[[Engine], Context],
    clock: FakeClock,
    double: GridDouble,
    http: httpx2.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], tuple[Context, Feed]]:
    """A service that has chosen a set, and its feed of the United States."""

    def made(name: str) -> tuple[Context, Feed]:
        plain = new_context(memory)
        url = double.url + PATH
        settings = plain.settings.model_copy(update={"source_factors": name, "eia_files_url": url})
        context = Context(memory, settings, clock)
        [feed] = [feed for feed in build_feeds(context) if feed.name == "eia_files"]
        return context, feed

    return made


def asked(feed: Feed, now_ms: int) -> tuple[tuple[str, ...], float]:
    [vintage] = feed.fetch("US-TEX-ERCO", now_ms - 24 * HOUR_MS, now_ms)
    return vintage.flags, vintage.points[0].g_per_kwh


def test_each_point_names_the_set_that_the_site_chose(
    make: Callable[[str], tuple[Context, Feed]], now_ms: int
) -> None:
    flags, coal_at_820 = asked(make(AR5)[1], now_ms)
    assert f"factors_{AR5}" in flags
    flags, coal_at_1001 = asked(make(SRREN)[1], now_ms)
    assert f"factors_{SRREN}" in flags
    assert coal_at_1001 > coal_at_820


def test_what_was_superseded_counts_from_the_next_question_on(
    make: Callable[[str], tuple[Context, Feed]], now_ms: int
) -> None:
    context, feed = make(AR5)
    before_flags, before = asked(feed, now_ms)
    with writing(context.engine) as connection:
        insert_factor(connection, study(910.0))
    after_flags, after = asked(feed, now_ms)
    assert after > before
    assert before_flags != after_flags
    assert after_flags[0].startswith(f"factors_{AR5}_")


def test_a_set_that_is_not_there_is_an_error_and_no_other_stands_in(
    make: Callable[[str], tuple[Context, Feed]], now_ms: int
) -> None:
    _, feed = make("ipcc_2030")
    with pytest.raises(InvalidInput, match="no set of factors 'ipcc_2030'"):
        feed.fetch("US-TEX-ERCO", now_ms - 24 * HOUR_MS, now_ms)
