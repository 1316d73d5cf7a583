"""Brings the prices of the zones in use, once an hour and by one process of a deployment."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.grid.feed import Feed, FeedError, PriceFeed
from carbon.services.context import Context
from carbon.services.jobs.energy_prices import store_prices

log = logging.getLogger("carbon.grid")

#: Yesterday is asked for again: markets correct themselves. Tomorrow is published about noon.
BACK_MS = MS_PER_DAY
AHEAD_MS = 2 * MS_PER_DAY


class PricePolling:
    """Not for two threads at a time."""

    def __init__(
        self, context: Context, feeds: Sequence[Feed], claim: Callable[[str, str, int], bool]
    ) -> None:
        """`claim` (source, zone, ms) says whether this process may ask in that time."""
        self._context = context
        self._feeds = [feed for feed in feeds if isinstance(feed, PriceFeed)]
        self._claim = claim
        self._asked_ms = 0

    def poll(self, zones: Sequence[str]) -> int:
        """Returns how many prices are new. Never raises for a feed that is away."""
        now_ms = self._context.clock.now_ms()
        hour_ms = floor_to(now_ms, MS_PER_HOUR)
        if self._asked_ms == hour_ms:
            return 0
        self._asked_ms = hour_ms
        return sum(
            self._bring(feed, zone, now_ms)
            for feed in self._feeds
            for zone in feed.zones()
            if zone in zones and self._claim(feed.name, f"{zone}/prices", MS_PER_HOUR * 9 // 10)
        )

    def _bring(self, feed: PriceFeed, zone: str, now_ms: int) -> int:
        try:
            points = feed.fetch_prices(zone, now_ms - BACK_MS, now_ms + AHEAD_MS)
        except FeedError as error:
            log.warning("no prices of %s: %s", zone, error.detail)
            return 0
        licence = feed.licence.attribution
        return store_prices(self._context, zone, points, feed.name, now_ms, licence)
