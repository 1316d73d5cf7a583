"""Asks the feeds in turn, keeps each failure to itself, and knows when to ask again.

Per (source, zone) a failure waits longer each time, with jitter; per source, failures in a row
open a breaker, after which one zone at a time tries whether the source is back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
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
BACK_MS = 24 * MS_PER_HOUR
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
    ) -> None:
        """`save` gets the good points of a vintage, `quarantine` the others and what they came
        in; `jitter` draws from [0, 1)."""
        self._feeds = feeds
        self._save = save
        self._quarantine = quarantine
        self._clock = clock
        self._jitter = jitter
        self._statuses: dict[tuple[str, str], FeedStatus] = {}
        self._breakers = {feed.name: _Breaker() for feed in feeds}

    def poll_once(self, zones: Sequence[str]) -> list[FeedStatus]:
        """One fetch per source and zone that is due, then every pair's status. Never raises."""
        wanted = dict.fromkeys(zones)
        pairs = [(feed, zone) for feed in self._feeds for zone in feed.zones() if zone in wanted]
        for feed, zone in pairs:
            if self._is_due(feed, zone):
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

    def _attempt(self, feed: Feed, zone: str) -> FeedStatus:
        now_ms = self._clock.now_ms()
        try:
            vintages = feed.fetch(zone, now_ms - BACK_MS, now_ms + AHEAD_MS)
            status = self._succeeded(feed, zone, [self._keep(feed, v) for v in vintages])
        except Exception as error:  # a feed's or the store's fault must not stop the others
            return self._failed(feed, zone, error)
        self._breakers[feed.name] = _Breaker()
        return status

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


def _line(error: Exception) -> str:
    """An error on one line, without a page of HTML behind it."""
    text = error.detail if isinstance(error, CarbonError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]
