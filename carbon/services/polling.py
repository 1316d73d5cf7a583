"""Keeps the zones in use fresh: the key-less feeds, asked in a thread of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from sqlalchemy import select

from carbon.grid.answer import feed_client
from carbon.grid.energy_charts import EnergyCharts
from carbon.grid.feed import Feed
from carbon.grid.neso import Neso
from carbon.grid.poller import FeedStatus, Poller
from carbon.services.context import Context
from carbon.services.intensity import store_quarantine, store_vintage
from carbon.storage.engine import reading
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


def build_feeds(context: Context) -> Sequence[Feed]:
    settings = context.settings
    client = feed_client(settings.feed_timeout_s)
    return [
        Neso(client, context.clock, settings.neso_url),
        EnergyCharts(client, context.clock, settings.energy_charts_url),
    ]


class Polling:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._stop = threading.Event()
        self._poller = Poller(
            build_feeds(context) if context.settings.feeds else [],
            lambda vintage: store_vintage(context, vintage),
            lambda vintage, refused: store_quarantine(context, vintage, refused),
            context.clock,
        )
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
            for status in statuses:
                self._tell(status, told)
            self._stop.wait(_LOOK_EVERY_S)

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
