"""`carbon.track`: the energy of a piece of a program, under a workload's name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ContextDecorator
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carbon.client.session import Measured, RunSession
    from carbon.collect.host_agent import AgentOptions

log = logging.getLogger(__name__)


def track(
    workload: str, units: Mapping[str, int] | None = None, *, reserve: bool = False
) -> Tracker:
    """Measures what this process and its children draw inside a `with` block or a function.

        with carbon.track("search/index", {"document": 0}) as tracker:
            for document in documents:
                ...
                tracker.count("document")

    What is counted belongs to the block's time. A block inside another takes its energy for
    itself. Delivery is left to the agent, or to whichever comes next; nothing here raises or
    waits for a server. `reserve` holds the host's devices, idle draw included.
    """
    return Tracker(workload, units, reserve=reserve)


class Tracker(ContextDecorator):
    def __init__(
        self, workload: str, units: Mapping[str, int] | None = None, *, reserve: bool = False
    ) -> None:
        self.workload = workload
        self.reserve = reserve
        self._given = dict(units or {})
        self._counts = dict(self._given)
        self._session: RunSession | None = None
        #: What was measured, once the block has ended; None where it could not be.
        self.measured: Measured | None = None

    def count(self, unit: str, count: int = 1) -> None:
        """Adds to the units that the block has produced so far."""
        self._counts[unit] = self._counts.get(unit, 0) + count

    @property
    def energy_mj(self) -> int | None:
        """All that was attributed to the block; None before its end or where nobody measured."""
        if self.measured is None or not self.measured.intervals:
            return None
        return sum(interval.energy_mj for interval in self.measured.intervals)

    def __enter__(self) -> Tracker:
        try:
            self._session = _session(self.workload, self.reserve)
            self._session.start()
        except Exception as error:
            log.warning("%s is not tracked: %s", self.workload, error)
            self._session = None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            try:
                self.measured = self._session.end(self._counts)
                self._session.close()
            except Exception as failure:
                log.warning("the end of %s was not tracked: %s", self.workload, failure)

    def _recreate_cm(self) -> Tracker:
        """Each call of a decorated function is a run of its own."""
        return Tracker(self.workload, self._given, reserve=self.reserve)


def _session(workload: str, reserve: bool) -> RunSession:
    from carbon.client.session import RunSession
    from carbon.data_dir import data_dir

    return RunSession(data_dir(), _options, workload, reserve, in_passing=True)


def _options() -> AgentOptions:
    from carbon.client.options import local_options

    return local_options()
