"""Which sources serve a zone, and in what order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.intensity import EmissionScope
from carbon.domain.yearly import ZONE_NAMES, yearly_intensity
from carbon.grid.bundled import Bundled
from carbon.grid.eia_zones import ZONES as EIA_ZONES
from carbon.grid.ladder import BROUGHT_RANK, EVERY, Ladder, Step, source_rank, sources_for

ZONES = st.sampled_from([*sorted(ZONE_NAMES), *EIA_ZONES, "NO-NO2", "GB-REGION-3", "XX", "DE-5A"])


@given(ZONES)
def test_every_ladder_ends_with_the_bundled_figure_and_repeats_nothing(zone: str) -> None:
    sources = sources_for(zone)
    assert sources[-1] == "bundled"
    assert len(set(sources)) == len(sources)


@given(ZONES, st.sampled_from(EmissionScope))
def test_a_scope_takes_steps_away_and_never_reorders(zone: str, scope: EmissionScope) -> None:
    of_scope = sources_for(zone, scope)
    assert of_scope == tuple(name for name in sources_for(zone) if name in of_scope)


@given(ZONES)
def test_the_rank_is_the_place_in_the_ladder(zone: str) -> None:
    ladder = Ladder()
    sources = ladder.sources_for(zone)
    assert [ladder.source_rank(zone, name) for name in sources] == list(range(len(sources)))
    assert [source_rank(zone, name) for name in sources] == list(range(len(sources)))


@pytest.mark.parametrize(
    ("zone", "sources"),
    [
        ("GB", ("neso", "own", "typical", "bundled")),
        ("uk", ("neso", "own", "typical", "bundled")),
        ("DE", ("energy_charts", "own", "typical", "bundled")),
        ("US-CAL-CISO", ("eia_files", "own", "typical", "bundled")),
        ("US", ("eia_files", "own", "typical", "bundled")),
        ("US-VA", ("eia_files", "own", "typical", "bundled")),
        ("US-WA", ("own", "typical", "bundled")),
        ("NO-NO2", ("own", "typical", "bundled")),
    ],
)
def test_the_ladders_of_a_newcomer_without_a_key(zone: str, sources: tuple[str, ...]) -> None:
    assert sources_for(zone) == sources


def test_a_direct_feed_does_not_answer_for_the_life_cycle() -> None:
    assert "neso" in sources_for("GB", EmissionScope.DIRECT)
    assert "neso" not in sources_for("GB", EmissionScope.LIFECYCLE)


def test_an_order_can_be_set_for_a_zone_and_keeps_its_last_step() -> None:
    ladder = Ladder(orders={"DE": ("site-meter", "energy_charts")})
    assert ladder.sources_for("de") == ("site-meter", "energy_charts", "bundled")
    assert ladder.source_rank("DE", "site-meter") == 0
    assert ladder.source_rank("DE", "own") == 3
    assert ladder.sources_for("FR") == ("energy_charts", "rte", "own", "typical", "bundled")


def test_further_steps_can_be_put_before_the_keyless_ones() -> None:
    ladder = Ladder(steps=(Step("paid"), *Ladder().steps))
    assert ladder.sources_for("GB")[:2] == ("paid", "neso")


def test_what_people_bring_themselves_goes_before_the_feeds() -> None:
    ladder = Ladder()
    assert ladder.source_rank("DE", "import:meter.csv") == BROUGHT_RANK
    assert ladder.source_rank("DE", "energy_charts") > BROUGHT_RANK
    assert ladder.source_rank("DE", "neso") > ladder.source_rank("DE", "bundled")


def test_the_bundled_step_never_shifts_a_job_and_says_its_year() -> None:
    [vintage] = Bundled().fetch("DE-XX", 0, 3_600_000)
    [point] = vintage.points
    assert (vintage.zone, vintage.source) == ("DE-XX", "bundled")
    assert not point.kind.may_shift
    assert not point.kind.may_credit
    assert point.g_per_kwh == yearly_intensity("DE").g_per_kwh
    assert set(vintage.flags) == {"yearly_figure", "country_figure", "year_2023"}


def test_the_bundled_figure_of_a_us_state_carries_its_own_scope() -> None:
    [vintage] = Bundled().fetch("US-TX", 0, 3_600_000)
    assert vintage.scope is EmissionScope.DIRECT


def test_the_ladder_of_every_source_keeps_the_keyless_order() -> None:
    for zone in ("DE", "GB", "FR", "US-CAL-CISO", "BR"):
        among_all = [name for name in EVERY.sources_for(zone) if name in sources_for(zone)]
        assert tuple(among_all) == sources_for(zone)
    assert "eia" in EVERY.sources_for("US-CAL-CISO")
    assert "entsoe" in EVERY.sources_for("DE")
