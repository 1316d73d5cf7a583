"""Manners: within a source's limits, never the same bytes twice, licences kept."""

from __future__ import annotations

import logging

import httpx2
import pytest
from grid_double import GridDouble
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.grid.answer import feed_client
from carbon.grid.eia import Eia
from carbon.grid.etiquette import LIMITS, LONGEST_BURST, SHARE, Bucket, Considerate, Limit
from carbon.grid.licences import LICENCES, RESTRICTED_FLAG, allowed_of, may_pass_on
from carbon.grid.neso import Neso

HOUR_MS = 3_600_000


@given(st.integers(1, 10_000), st.integers(1, 4_000), st.integers(1, 60))
def test_no_more_than_four_fifths_of_a_limit_after_a_burst(
    requests: int, per_s: int, asked: int
) -> None:
    clock = FakeClock(0)
    bucket = Bucket(Limit(requests, per_s), clock)
    for _ in range(asked + LONGEST_BURST):
        bucket.take()
    elapsed_s = clock.monotonic_ns() / 1e9
    assert asked <= SHARE * requests / per_s * elapsed_s * 1.001 + 1e-6


def test_a_burst_costs_no_waiting() -> None:
    clock = FakeClock(0)
    bucket = Bucket(Limit(1, 3600), clock)
    for _ in range(LONGEST_BURST):
        bucket.take()
    assert clock.monotonic_ns() == 0


def test_the_published_limits_are_known_and_eia_s_second_is_kept() -> None:
    assert {"api.watttime.org", "web-api.tp.entsoe.eu", "api.eia.gov"} <= LIMITS.keys()
    assert LONGEST_BURST < 5


def considerate(clock: FakeClock) -> httpx2.Client:
    inner = httpx2.HTTPTransport()
    return httpx2.Client(transport=Considerate(inner, clock), timeout=5.0)


def test_what_did_not_change_is_not_sent_again_and_reads_the_same(
    double: GridDouble, clock: FakeClock, now_ms: int
) -> None:
    double.etags = True
    with considerate(clock) as http:
        feed = Neso(http, clock, double.url)
        first, second = (feed.fetch("GB", now_ms - HOUR_MS, now_ms + HOUR_MS) for _ in range(2))
    assert first == second
    assert double.statuses == [200, 200, 304, 304]


def test_what_changed_is_read_anew(double: GridDouble, clock: FakeClock, now_ms: int) -> None:
    double.etags = True
    with considerate(clock) as http:
        feed = Neso(http, clock, double.url)
        [before] = feed.fetch("GB", now_ms - HOUR_MS, now_ms + HOUR_MS)
        double.now_ms += HOUR_MS
        [after] = feed.fetch("GB", now_ms - HOUR_MS, now_ms + HOUR_MS)
    assert before.points != after.points
    assert 304 not in double.statuses[2:4] or double.statuses.count(200) == 3


def test_a_source_without_marks_is_simply_asked(
    double: GridDouble, clock: FakeClock, now_ms: int
) -> None:
    with considerate(clock) as http:
        feed = Neso(http, clock, double.url)
        for _ in range(2):
            assert feed.fetch("GB", now_ms - HOUR_MS, now_ms)
    assert set(double.statuses) == {200}


def test_no_address_with_a_key_reaches_the_log(
    double: GridDouble, clock: FakeClock, now_ms: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with feed_client(5.0, clock) as http:
        logging.getLogger().setLevel(logging.INFO)
        with pytest.raises(Exception, match="refuses the key"):
            Eia(http, clock, "a-wrong-key", double.url).fetch("US-CAL-CISO", now_ms - 1, now_ms)
    assert "a-wrong-key" not in caplog.text


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("neso", True),
        ("energy_charts", True),
        ("eia", True),
        ("eia_files", True),
        ("rte", True),
        ("entsoe", True),
        ("bundled", True),
        ("site", True),
        ("my-import", True),
        ("own", True),
        ("electricity_maps", False),
        ("watttime", False),
    ],
)
def test_who_may_be_passed_on(source: str, may: bool) -> None:
    assert may_pass_on(source) is may
    assert may_pass_on(source, allowed=frozenset({source}))


def test_a_forecast_learned_from_a_restricted_source_is_restricted_too() -> None:
    assert not may_pass_on("own", ("own_forecast", RESTRICTED_FLAG))


def test_what_the_owner_s_contract_frees_is_read_from_a_list() -> None:
    assert allowed_of(" watttime, electricity_maps,") == {"watttime", "electricity_maps"}
    assert allowed_of("") == frozenset()


def test_every_licence_names_its_line_to_be_shown() -> None:
    for name, licence in LICENCES.items():
        assert licence.attribution, name
        assert licence.name, name
