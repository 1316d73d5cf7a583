"""APScheduler as a mere clock: it knows nothing of jobs, and remembers nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from apscheduler.schedulers import background


class Clockwork:
    """Calls `tick` every so often in a thread of its own.

    Ticks never overlap, and one that was missed is not made up for.
    """

    def __init__(self, tick: Callable[[], None], every_s: float) -> None:
        untyped: Any = background
        self._scheduler = untyped.BackgroundScheduler(timezone="UTC")
        self._scheduler.add_job(tick, "interval", seconds=every_s, max_instances=1, coalesce=True)
        # It reports each tick that a slow one delays, which is no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Returns once the tick in progress is done."""
        self._scheduler.shutdown(wait=True)
