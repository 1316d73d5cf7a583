"""The poller: one fetch per source and zone, patience after failures, and never an exception."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2
import pytest
from grid_double import Failure, GridDouble
from hypothesis import given
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.grid.bundled import Bundled
from carbon.grid.energy_charts import EnergyCharts
from carbon.grid.feed import FeedAnswerInvalid, FeedRateLimited, FeedUnreachable
from carbon.grid.neso import Neso
from carbon.grid.poller import BREAKER_FAILURES, LONGEST_WAIT_MS, FeedStatus, Poller
from carbon.grid.validation import Quarantined

HOUR_MS = 3_600_000
START_MS = 1_777_140_000_000


class ScriptedFeed:
    """A feed that does what `script` says for a zone: raise, or publish such values."""

    licence = Bundled.licence
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    period_ms = 900_000
    horizon_ms = 0

    def __init__(self, name: str, clock: FakeClock, zones: Sequence[str] = ("DE",)) -> None:
        self.name = name
        self.script: dict[str, Exception | list[float]] = {}
        self.asked: list[str] = []
        self._clock = clock
        self._zones = zones

    def zones(self) -> Sequence[str]:
        return self._zones

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        self.asked.append(zone)
        step = self.script.get(zone, [200.0, 210.0])
        if isinstance(step, Exception):
            raise step
        now_ms = self._clock.now_ms()
        points = tuple(
            IntensityPoint(now_ms + i * HOUR_MS, now_ms + (i + 1) * HOUR_MS, v, PointKind.FORECAST)
            for i, v in enumerate(step)
        )
        return [Vintage(zone, self.name, self.signal, self.scope, now_ms, points)]


class Store:
    """What a database would do with what the poller hands on."""

    def __init__(self) -> None:
        self.saved: list[Vintage] = []
        self.quarantined: list[Quarantined] = []
        self.broken = False

    def save(self, vintage: Vintage) -> None:
        if self.broken:
            raise OSError("disk I/O error")
        self.saved.append(vintage)

    def quarantine(self, vintage: Vintage, bad: Sequence[Quarantined]) -> None:
        self.quarantined.extend(bad)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START_MS)


@pytest.fixture
def store() -> Store:
    return Store()


def poller(store: Store, clock: FakeClock, *feeds: ScriptedFeed) -> Poller:
    return Poller(feeds, store.save, store.quarantine, clock, jitter=lambda: 0.0)


def test_each_source_and_zone_is_asked_once_and_saved(store: Store, clock: FakeClock) -> None:
    feed = ScriptedFeed("a", clock, ("DE", "FR"))
    statuses = poller(store, clock, feed).poll_once(["DE", "FR", "DE", "US"])
    assert feed.asked == ["DE", "FR"]
    assert [(s.source, s.zone, s.ok, s.points) for s in statuses] == [
        ("a", "DE", True, 2),
        ("a", "FR", True, 2),
    ]
    assert [v.zone for v in store.saved] == ["DE", "FR"]


def test_a_source_is_not_asked_again_before_it_publishes_anew(
    store: Store, clock: FakeClock
) -> None:
    feed = ScriptedFeed("a", clock)
    polling = poller(store, clock, feed)
    polling.poll_once(["DE"])
    clock.advance(899)
    assert polling.poll_once(["DE"])[0].ok
    assert len(feed.asked) == 1
    clock.advance(1)
    polling.poll_once(["DE"])
    assert len(feed.asked) == 2


@pytest.mark.parametrize(
    "error",
    [
        FeedUnreachable("a", "no answer"),
        FeedAnswerInvalid("a", "answered <html>\n<body>"),
        RuntimeError("a bug in a feed"),
        RecursionError(),
    ],
)
def test_a_failing_feed_leaves_the_others_alone(
    store: Store, clock: FakeClock, error: Exception
) -> None:
    bad, good = ScriptedFeed("a", clock), ScriptedFeed("b", clock)
    bad.script["DE"] = error
    failed, fine = poller(store, clock, bad, good).poll_once(["DE"])
    assert not failed.ok
    assert failed.last_error
    assert "\n" not in failed.last_error
    assert failed.next_attempt_ms > clock.now_ms()
    assert fine.ok
    assert [v.source for v in store.saved] == ["b"]


def test_waiting_doubles_up_to_an_hour_and_ends_with_a_success(
    store: Store, clock: FakeClock
) -> None:
    feed = ScriptedFeed("a", clock)
    feed.script["DE"] = FeedAnswerInvalid("a", "nonsense")
    polling = poller(store, clock, feed)
    waits_s = []
    for _ in range(9):
        [status] = polling.poll_once(["DE"])
        waits_s.append((status.next_attempt_ms - clock.now_ms()) // 1000)
        clock.advance(waits_s[-1])
    assert waits_s == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    del feed.script["DE"]
    [status] = polling.poll_once(["DE"])
    assert status.ok
    assert status.failures == 0


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 200))
def test_jitter_shortens_a_wait_by_at_most_a_half(draw: float, failures: int) -> None:
    clock, store = FakeClock(START_MS), Store()
    polling = Poller([], store.save, store.quarantine, clock, jitter=lambda: draw)
    whole = Poller([], store.save, store.quarantine, clock, jitter=lambda: 0.0)
    wait_ms, full_ms = polling._wait_ms(failures), whole._wait_ms(failures)
    assert full_ms / 2 - 1 <= wait_ms <= full_ms <= LONGEST_WAIT_MS


def test_one_zone_in_error_does_not_hold_up_the_feeds_other_zones(
    store: Store, clock: FakeClock
) -> None:
    feed = ScriptedFeed("a", clock, ("DE", "MK", "FR"))
    feed.script["MK"] = FeedAnswerInvalid("a", "404")
    statuses = poller(store, clock, feed).poll_once(["DE", "MK", "FR"])
    assert [s.ok for s in statuses] == [True, False, True]


def test_a_source_that_is_away_is_left_alone_after_three_zones(
    store: Store, clock: FakeClock
) -> None:
    zones = ("AT", "BE", "CH", "DE", "FR")
    feed = ScriptedFeed("a", clock, zones)
    feed.script = dict.fromkeys(zones, FeedUnreachable("a", "no answer"))
    polling = poller(store, clock, feed)
    statuses = polling.poll_once(zones)
    assert feed.asked == ["AT", "BE", "CH"]
    assert len(feed.asked) == BREAKER_FAILURES
    assert all(s.next_attempt_ms > clock.now_ms() for s in statuses)

    clock.advance(31)
    polling.poll_once(zones)
    assert len(feed.asked) == BREAKER_FAILURES + 1, "one zone tries whether it is back"

    feed.script = {}
    clock.advance(3600)
    assert all(s.ok for s in polling.poll_once(zones))


def test_a_source_that_asks_for_silence_gets_it_in_all_its_zones(
    store: Store, clock: FakeClock
) -> None:
    feed = ScriptedFeed("a", clock, ("DE", "FR"))
    feed.script["DE"] = FeedRateLimited("a", "slow down", retry_after_s=600)
    polling = poller(store, clock, feed)
    statuses = polling.poll_once(["DE", "FR"])
    assert feed.asked == ["DE"]
    assert all(s.next_attempt_ms == clock.now_ms() + 600_000 for s in statuses)
    clock.advance(599)
    polling.poll_once(["DE", "FR"])
    assert feed.asked == ["DE"]
    clock.advance(1)
    feed.script = {}
    assert all(s.ok for s in polling.poll_once(["DE", "FR"]))


def test_bad_points_go_to_quarantine_and_the_good_are_saved(store: Store, clock: FakeClock) -> None:
    feed = ScriptedFeed("a", clock)
    feed.script["DE"] = [200.0, -5.0, 210.0]
    [status] = poller(store, clock, feed).poll_once(["DE"])
    assert (status.ok, status.points, status.quarantined) == (True, 2, 1)
    assert "quarantine" in status.flags
    assert [p.g_per_kwh for p in store.saved[0].points] == [200.0, 210.0]
    assert [bad.point.g_per_kwh for bad in store.quarantined] == [-5.0]


def test_a_vintage_of_zeros_is_not_saved_and_not_called_good(
    store: Store, clock: FakeClock
) -> None:
    feed = ScriptedFeed("a", clock)
    feed.script["DE"] = [0.0] * 10
    [status] = poller(store, clock, feed).poll_once(["DE"])
    assert store.saved == []
    assert not status.ok
    assert "quarantine" in status.last_error


def test_a_store_that_fails_is_a_status_and_not_an_exception(
    store: Store, clock: FakeClock
) -> None:
    store.broken = True
    [status] = poller(store, clock, ScriptedFeed("a", clock)).poll_once(["DE"])
    assert not status.ok
    assert "disk I/O error" in status.last_error
    assert status.failures == 1


def test_the_last_success_is_remembered_through_failures(store: Store, clock: FakeClock) -> None:
    feed = ScriptedFeed("a", clock)
    polling = poller(store, clock, feed)
    [good] = polling.poll_once(["DE"])
    feed.script["DE"] = FeedUnreachable("a", "no answer")
    clock.advance(900)
    [bad] = polling.poll_once(["DE"])
    assert bad.last_success_ms == good.last_success_ms == START_MS
    assert bad.last_error == "2026-04-25T18:15:00Z a: no answer"
    assert polling.statuses() == [bad]


def test_zones_that_no_feed_serves_are_no_error(store: Store, clock: FakeClock) -> None:
    assert poller(store, clock, ScriptedFeed("a", clock)).poll_once(["US-CAL-CISO"]) == []
    assert poller(store, clock).poll_once(["DE"]) == []


def test_before_the_first_poll_there_is_nothing_to_show(store: Store, clock: FakeClock) -> None:
    assert poller(store, clock, ScriptedFeed("a", clock)).statuses() == []
    assert not FeedStatus("a", "DE").ok


def test_the_keyless_feeds_over_http_through_a_bad_day(
    store: Store, http: httpx2.Client, double: GridDouble, now_ms: int
) -> None:
    clock = FakeClock(now_ms)
    feeds = [Neso(http, clock, double.url), EnergyCharts(http, clock, double.url)]
    polling = Poller(feeds, store.save, store.quarantine, clock, jitter=lambda: 0.0)
    assert all(s.ok for s in polling.poll_once(["GB", "DE", "FR"]))
    assert sorted((v.source, v.zone) for v in store.saved) == [
        ("energy_charts", "DE"),
        ("energy_charts", "FR"),
        ("neso", "GB"),
    ]
    saved = len(store.saved)
    for failure in (Failure.SERVER_ERROR, Failure.HTML, Failure.EMPTY_OBJECT, Failure.RATE_LIMITED):
        double.failure = failure
        clock.advance(2 * 3600)
        assert not any(s.ok for s in polling.poll_once(["GB", "DE", "FR"]))
    assert len(store.saved) == saved
    double.failure = None
    clock.advance(2 * 3600)
    assert all(s.ok for s in polling.poll_once(["GB", "DE", "FR"]))
