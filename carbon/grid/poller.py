"""Asks the feeds in turn, keeps each failure to itself, and knows when to ask again.

Per (source, zone) a failure waits longer each time, with jitter; per source, failures in a row
open a breaker, after which one zone at a time tries whether the source is back. A source that
was away for long is on probation: its measurements count at once, its forecasts only after some
good answers in a row, so that plans do not swing with a source that comes and goes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from carbon.clock import Clock, to_rfc3339
from carbon.domain.intensity import Vintage
from carbon.domain.units import MS_PER_HOUR, MS_PER_S
from carbon.errors import CarbonError
from carbon.grid.feed import Feed, FeedRateLimited, FeedUnreachable
from carbon.grid.validation import Checked, Quarantined, validate

FIRST_WAIT_MS = 30 * MS_PER_S
LONGEST_WAIT_MS = MS_PER_HOUR
#: Unreachable this often in a row, over all its zones, a source is left alone.
BREAKER_FAILURES = 3
#: Failures in a row after which a source must prove itself in a zone, and good answers it takes.
LONG_AWAY = 3
PROBATION = 3
BACK_MS = 24 * MS_PER_HOUR
#: How far back the first question of a process goes, enough to learn a forecast from; and the
#: longest absence that is made good.
FIRST_BACK_MS = 29 * 24 * MS_PER_HOUR
LONGEST_BACK_MS = 14 * 24 * MS_PER_HOUR
AHEAD_MS = 96 * MS_PER_HOUR


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How a source does in a zone: a row of the status page."""

    source: str
    zone: str
    next_attempt_ms: int = 0
    last_success_ms: int | None = None
    #: One line; empty after a success.
    last_error: str = ""
    #: Failures since the last success.
    failures: int = 0
    #: Of the last success.
    points: int = 0
    quarantined: int = 0
    flags: tuple[str, ...] = ()
    #: Good answers still to come before its forecasts count again.
    probation: int = 0

    @property
    def ok(self) -> bool:
        return self.last_success_ms is not None and not self.last_error


@dataclass(frozen=True, slots=True)
class _Breaker:
    """Closed while `failures` is low; else open until `open_until_ms`."""

    failures: int = 0
    open_until_ms: int = 0


class Poller:
    """One process's polling. Not for two threads at a time."""

    def __init__(
        self,
        feeds: Sequence[Feed],
        save: Callable[[Vintage], None],
        quarantine: Callable[[Vintage, Sequence[Quarantined]], None],
        clock: Clock,
        jitter: Callable[[], float] = random.random,
        claim: Callable[[str, str, int], bool] = lambda source, zone, ttl_ms: True,
        release: Callable[[str, str], None] = lambda source, zone: None,
    ) -> None:
        """`save` gets the good points of a vintage, `quarantine` the others and what they came
        in; `jitter` draws from [0, 1). `claim` (source, zone, ms) says whether this process may
        ask in that time: of several that share a store, one does. `release` lets another try
        where this one got nothing."""
        self._feeds = feeds
        self._save = save
        self._quarantine = quarantine
        self._clock = clock
        self._jitter = jitter
        self._claim, self._release = claim, release
        self._statuses: dict[tuple[str, str], FeedStatus] = {}
        self._breakers = {feed.name: _Breaker() for feed in feeds}

    def poll_once(self, zones: Sequence[str]) -> list[FeedStatus]:
        """One fetch per source and zone that is due, then every pair's status. Never raises."""
        wanted = dict.fromkeys(zones)
        pairs = [(feed, zone) for feed in self._feeds for zone in feed.zones() if zone in wanted]
        for feed, zone in pairs:
            if self._is_due(feed, zone) and self._is_ours(feed, zone):
                self._statuses[feed.name, zone] = self._attempt(feed, zone)
        return [self._status(feed, zone) for feed, zone in pairs]

    def statuses(self) -> list[FeedStatus]:
        """Of every pair asked for so far, without asking anew."""
        return list(self._statuses.values())

    def _status(self, feed: Feed, zone: str) -> FeedStatus:
        status = self._statuses.get((feed.name, zone), FeedStatus(feed.name, zone))
        open_until_ms = self._breakers[feed.name].open_until_ms
        return replace(status, next_attempt_ms=max(status.next_attempt_ms, open_until_ms))

    def _is_due(self, feed: Feed, zone: str) -> bool:
        return self._clock.now_ms() >= self._status(feed, zone).next_attempt_ms

    def _is_ours(self, feed: Feed, zone: str) -> bool:
        """Where the store cannot say, nobody asks: what came could not be kept either."""
        try:
            # Shorter than a period, so that the next turn finds it free.
            return self._claim(feed.name, zone, feed.period_ms * 9 // 10)
        except Exception as error:
            self._statuses[feed.name, zone] = self._failed(feed, zone, error)
            return False

    def _attempt(self, feed: Feed, zone: str) -> FeedStatus:
        now_ms = self._clock.now_ms()
        left = self._probation(feed, zone)
        try:
            start_ms = now_ms - self._back_ms(feed, zone)
            vintages = feed.fetch(zone, start_ms, now_ms + AHEAD_MS)
            kept = [self._keep(feed, v if not left else _measured(v)) for v in vintages]
            status = replace(self._succeeded(feed, zone, kept), probation=left)
        except Exception as error:  # a feed's or the store's fault must not stop the others
            with suppress(Exception):
                self._release(feed.name, zone)
            return self._failed(feed, zone, error)
        self._breakers[feed.name] = _Breaker()
        return status

    def _back_ms(self, feed: Feed, zone: str) -> int:
        """To where it was last heard, an hour over; after a refusal of weeks a day is asked for."""
        before = self._statuses.get((feed.name, zone), FeedStatus(feed.name, zone))
        if before.last_success_ms is None:
            return BACK_MS if before.failures else FIRST_BACK_MS
        away_ms = self._clock.now_ms() - before.last_success_ms + MS_PER_HOUR
        return min(max(away_ms, BACK_MS), LONGEST_BACK_MS)

    def _probation(self, feed: Feed, zone: str) -> int:
        """Good answers still wanted after this one, if it is good."""
        before = self._statuses.get((feed.name, zone))
        if before is None or before.last_success_ms is None:
            return 0
        if before.failures >= LONG_AWAY:
            return PROBATION - 1
        return max(0, before.probation - (not before.failures))

    def _keep(self, feed: Feed, vintage: Vintage) -> Checked:
        checked = validate(vintage, self._clock.now_ms(), horizon_ms=feed.horizon_ms)
        if checked.quarantined:
            self._quarantine(checked.vintage, checked.quarantined)
        if checked.vintage.points:
            self._save(checked.vintage)
        return checked

    def _succeeded(self, feed: Feed, zone: str, kept: Sequence[Checked]) -> FeedStatus:
        now_ms = self._clock.now_ms()
        points = sum(len(checked.vintage.points) for checked in kept)
        return FeedStatus(
            feed.name,
            zone,
            now_ms + feed.period_ms,
            now_ms,
            "" if points else "no usable point: all are in quarantine",
            0,
            points,
            sum(len(checked.quarantined) for checked in kept),
            tuple(dict.fromkeys(flag for checked in kept for flag in checked.vintage.flags)),
        )

    def _failed(self, feed: Feed, zone: str, error: Exception) -> FeedStatus:
        now_ms = self._clock.now_ms()
        before = self._statuses.get((feed.name, zone), FeedStatus(feed.name, zone))
        failures = before.failures + 1
        self._note_failure(feed, error)
        return replace(
            before,
            next_attempt_ms=now_ms + self._wait_ms(failures),
            last_error=f"{to_rfc3339(now_ms)} {_line(error)}",
            failures=failures,
        )

    def _note_failure(self, feed: Feed, error: Exception) -> None:
        """A source that is away, or asks for silence, is away for all its zones."""
        now_ms = self._clock.now_ms()
        breaker = self._breakers[feed.name]
        if isinstance(error, FeedRateLimited):
            until_ms = now_ms + error.retry_after_s * MS_PER_S
            self._breakers[feed.name] = replace(breaker, open_until_ms=until_ms)
        elif isinstance(error, FeedUnreachable):
            failures = breaker.failures + 1
            opened = failures >= BREAKER_FAILURES
            wait_ms = self._wait_ms(failures - BREAKER_FAILURES + 1) if opened else 0
            self._breakers[feed.name] = _Breaker(failures, now_ms + wait_ms)

    def _wait_ms(self, failures: int) -> int:
        """30 s, doubling to an hour, less up to a half by chance: not all ask at once."""
        full_ms = min(FIRST_WAIT_MS << min(failures - 1, 20), LONGEST_WAIT_MS)
        return round(full_ms * (1 - self._jitter() / 2))


def _measured(vintage: Vintage) -> Vintage:
    """Without what it foretells."""
    points = tuple(point for point in vintage.points if point.kind.may_credit)
    return replace(vintage, points=points, flags=(*vintage.flags, "probation"))


def _line(error: Exception) -> str:
    """An error on one line, without a page of HTML behind it."""
    text = error.detail if isinstance(error, CarbonError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
