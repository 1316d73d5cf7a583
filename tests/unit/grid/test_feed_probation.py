"""A source that comes back after long, and several processes on one store."""

from __future__ import annotations

from collections.abc import Sequence

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.grid.bundled import Bundled
from carbon.grid.feed import FeedAnswerInvalid, FeedError, FeedUnreachable
from carbon.grid.poller import LONG_AWAY, PROBATION, FeedStatus, Poller

HOUR_MS = 3_600_000


class FlakyFeed:
    """An hour measured and an hour foretold at each call, or the error that is set."""

    name = "flaky"
    licence = Bundled.licence
    signal = Signal.AVERAGE
    scope = EmissionScope.LIFECYCLE
    period_ms = HOUR_MS
    horizon_ms = 0

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.error: FeedError | None = None
        self.asked = 0

    def zones(self) -> Sequence[str]:
        return ("DE",)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        self.asked += 1
        if self.error:
            raise self.error
        now_ms = self._clock.now_ms()
        points = (
            IntensityPoint(now_ms - HOUR_MS, now_ms, 200.0, PointKind.ACTUAL),
            IntensityPoint(now_ms, now_ms + HOUR_MS, 210.0, PointKind.FORECAST),
        )
        return [Vintage(zone, self.name, self.signal, self.scope, now_ms, points)]


def kinds_kept(saved: list[Vintage]) -> list[set[PointKind]]:
    return [{point.kind for point in vintage.points} for vintage in saved]


def run(polling: Poller, clock: FakeClock, times: int) -> FeedStatus:
    for _ in range(times):
        [status] = polling.poll_once(["DE"])
        clock.advance((status.next_attempt_ms - clock.now_ms()) / 1000 + 1)
    return status


BOTH = {PointKind.ACTUAL, PointKind.FORECAST}


def test_after_long_absence_measurements_count_at_once_and_forecasts_later() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed, saved = FlakyFeed(clock), list[Vintage]()
    polling = Poller([feed], saved.append, lambda v, q: None, clock, jitter=lambda: 0.0)
    run(polling, clock, 1)
    feed.error = FeedUnreachable("flaky", "away")
    run(polling, clock, LONG_AWAY)
    feed.error = None
    saved.clear()
    status = run(polling, clock, 1)
    assert status.probation == PROBATION - 1
    assert status.ok
    run(polling, clock, PROBATION)
    measured = {PointKind.ACTUAL}
    assert kinds_kept(saved) == [measured] * (PROBATION - 1) + [BOTH, BOTH]


def test_a_short_absence_costs_nothing() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed, saved = FlakyFeed(clock), list[Vintage]()
    polling = Poller([feed], saved.append, lambda v, q: None, clock, jitter=lambda: 0.0)
    run(polling, clock, 1)
    feed.error = FeedAnswerInvalid("flaky", "nonsense")
    run(polling, clock, LONG_AWAY - 1)
    feed.error = None
    assert run(polling, clock, 1).probation == 0
    assert kinds_kept(saved) == [BOTH, BOTH]


def test_a_first_answer_is_trusted() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed, saved = FlakyFeed(clock), list[Vintage]()
    feed.error = FeedUnreachable("flaky", "away")
    polling = Poller([feed], saved.append, lambda v, q: None, clock, jitter=lambda: 0.0)
    run(polling, clock, LONG_AWAY + 1)
    feed.error = None
    run(polling, clock, 1)
    assert kinds_kept(saved) == [BOTH]


def test_of_several_processes_only_the_one_that_may_asks() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed = FlakyFeed(clock)
    held: set[tuple[str, str]] = set()

    def claim(source: str, zone: str, ttl_ms: int) -> bool:
        assert 0 < ttl_ms < feed.period_ms
        if (source, zone) in held:
            return False
        held.add((source, zone))
        return True

    for _ in range(3):
        Poller([feed], lambda v: None, lambda v, q: None, clock, claim=claim).poll_once(["DE"])
    assert feed.asked == 1


def test_a_store_that_cannot_say_who_asks_is_a_failure_of_that_turn_alone() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed = FlakyFeed(clock)

    def broken(source: str, zone: str, ttl_ms: int) -> bool:
        raise OSError("disk I/O error")

    polling = Poller([feed], lambda v: None, lambda v, q: None, clock, claim=broken)
    [status] = polling.poll_once(["DE"])
    assert feed.asked == 0
    assert "disk I/O error" in status.last_error


class RememberingFeed(FlakyFeed):
    """Notes how far back it was asked, in hours."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.back_h: list[int] = []

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        self.back_h.append((self._clock.now_ms() - start_ms) // HOUR_MS)
        return super().fetch(zone, start_ms, end_ms)


def test_weeks_at_first_then_a_day_and_after_three_days_away_all_of_them() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed = RememberingFeed(clock)
    polling = Poller([feed], lambda v: None, lambda v, q: None, clock, jitter=lambda: 0.0)
    run(polling, clock, 2)
    feed.error = FeedUnreachable("flaky", "away")
    away_from_ms = clock.now_ms()
    while clock.now_ms() < away_from_ms + 72 * HOUR_MS:
        run(polling, clock, 1)
    feed.error = None
    run(polling, clock, 2)
    assert feed.back_h[:2] == [29 * 24, 24]
    assert feed.back_h[-2] >= 72
    assert feed.back_h[-1] == 24


def test_a_source_that_refuses_weeks_is_asked_for_a_day() -> None:
    clock = FakeClock(1_777_140_000_000)
    feed = RememberingFeed(clock)
    feed.error = FeedAnswerInvalid("flaky", "too long a span")
    polling = Poller([feed], lambda v: None, lambda v, q: None, clock, jitter=lambda: 0.0)
    run(polling, clock, 1)
    feed.error = None
    run(polling, clock, 1)
    assert feed.back_h == [29 * 24, 24]
