"""A job submitted for nothing as the service starts, so that the first real one is not slow.

Statements are compiled, modules loaded and the hours ahead put together once: the first
submission took eight times what the second did.
"""

from __future__ import annotations

import logging
from threading import Thread

from carbon.domain.principal import Principal
from carbon.domain.tenancy import TEAM_SCOPES
from carbon.errors import CarbonError
from carbon.executors.registry import Executors, build_executors
from carbon.services.context import Context
from carbon.services.jobs.submission import submit_for_nothing
from carbon.wire.jobs import JobBody

_BODY = JobBody("rehearsal", "local", "24h", ["true"], length_s=3600.0)
_log = logging.getLogger(__name__)


class Rehearsal:
    """Goes beside the start of everything else, which waits for it no more than for any writer."""

    def __init__(self, context: Context, executors: Executors | None = None) -> None:
        self._context = context
        self._executors = executors or build_executors(context.settings, context.clock)
        self._thread = Thread(target=self.run, name="rehearsal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._thread.join(5.0)

    def run(self) -> None:
        """Trouble is for the first real job to tell."""
        own = Principal("", "", self._context.settings.team, TEAM_SCOPES)
        try:
            submit_for_nothing(self._context, self._executors, own, _BODY)
        except CarbonError as error:
            _log.debug("no rehearsal: %s", error.detail)
