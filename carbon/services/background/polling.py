"""Keeps the zones in use fresh: feeds and own forecasts, in a thread of their own."""

from __future__ import annotations

import logging
import threading
from uuid import uuid4

from sqlalchemy import select

from carbon.domain.units import MS_PER_HOUR, floor_to
from carbon.grid.feed import OWN_FORECAST
from carbon.grid.poller import FeedStatus, Poller
from carbon.services.background.price_polling import PricePolling
from carbon.services.context import Context
from carbon.services.grid.feeds import build_feeds
from carbon.services.grid.intensity import store_quarantine, store_vintage
from carbon.services.grid.own_forecasts import OwnForecasts
from carbon.storage.engine import reading, writing
from carbon.storage.leases import Lease, give_up, take
from carbon.storage.names import device_zone, host_period

log = logging.getLogger("carbon.grid")

#: How often the poller looks whether a feed is due; feeds set their own pace.
_LOOK_EVERY_S = 5.0


def zones_in_use(context: Context) -> list[str]:
    """The deployment's own zone and those that hosts and senders stated."""
    with reading(context.engine) as connection:
        stated = connection.scalars(select(device_zone.c.zone).distinct()).all()
        hosts = connection.scalars(select(host_period.c.zone).distinct()).all()
    own = context.settings.zone
    return sorted({zone for zone in (*stated, *hosts, own) if zone})


class Polling:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._holder = uuid4().hex
        self._held: dict[tuple[str, str], Lease] = {}
        self._stop = threading.Event()
        feeds = build_feeds(context) if context.settings.feeds else []
        self._poller = Poller(
            feeds,
            lambda vintage: store_vintage(context, vintage),
            lambda vintage, refused: store_quarantine(context, vintage, refused),
            context.clock,
            claim=self._claim,
            release=self._release,
        )
        self._own = OwnForecasts(context)
        self._prices = PricePolling(context, feeds, self._claim)
        self._foreseen_at_ms = 0
        self._thread = threading.Thread(target=self._run, name="polling", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=1.0)

    def statuses(self) -> list[FeedStatus]:
        return self._poller.statuses()

    def _run(self) -> None:
        told: dict[tuple[str, str], str] = {}
        while not self._stop.is_set():
            try:
                statuses = self._poller.poll_once(zones_in_use(self._context))
            except Exception as error:
                log.warning("could not poll the feeds: %s", error)
                statuses = []
            self._foresee()
            self._price()
            for status in statuses:
                self._tell(status, told)
            self._stop.wait(_LOOK_EVERY_S)

    def _claim(self, source: str, zone: str, ttl_ms: int) -> bool:
        """Of all processes on one store, one asks a source for a zone in each of its periods."""
        with writing(self._context.engine) as connection:
            now_ms = self._context.clock.now_ms()
            held = take(connection, f"feed/{source}/{zone}", self._holder, now_ms, ttl_ms)
        if held is not None:
            self._held[source, zone] = held
        return held is not None

    def _release(self, source: str, zone: str) -> None:
        if held := self._held.pop((source, zone), None):
            with writing(self._context.engine) as connection:
                give_up(connection, held)

    def _foresee(self) -> None:
        """Own forecasts, once an hour and by one process."""
        hour_ms = floor_to(self._context.clock.now_ms(), MS_PER_HOUR)
        if self._foreseen_at_ms == hour_ms:
            return
        try:
            if self._claim(OWN_FORECAST, "", MS_PER_HOUR * 9 // 10):
                self._own.refresh(zones_in_use(self._context))
            self._foreseen_at_ms = hour_ms
        except Exception as error:
            log.warning("could not make own forecasts: %s", error)

    def _price(self) -> None:
        try:
            self._prices.poll(zones_in_use(self._context))
        except Exception as error:
            log.warning("could not store prices: %s", error)

    def _tell(self, status: FeedStatus, told: dict[tuple[str, str], str]) -> None:
        """One line when a feed comes or goes, not one each time it is asked."""
        state = "ok" if status.ok else "away" if status.failures else ""
        if state and told.get((status.source, status.zone)) != state:
            told[status.source, status.zone] = state
            if status.ok:
                log.info("%s: %s points for %s", status.source, status.points, status.zone)
            else:
                log.warning(
                    "%s is away for %s, pricing goes down its ladder (%s)",
                    status.source,
                    status.zone,
                    status.last_error,
                )
