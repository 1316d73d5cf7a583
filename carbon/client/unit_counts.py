"""`carbon.units`: counts of what a workload produces, gathered and delivered every few seconds."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carbon.wire.energy import UnitCount

log = logging.getLogger(__name__)

#: Counts of one workload and unit within this time become one.
GATHER_S = 10.0


class UnitBuffer:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By workload and unit: the time of the first count, and the sum.
        self._gathered: dict[tuple[str, str], tuple[int, int]] = {}
        self._timer: threading.Timer | None = None

    def add(self, workload: str, unit: str, count: int) -> None:
        with self._lock:
            start_ms, before = self._gathered.get((workload, unit), (_now_ms(), 0))
            self._gathered[workload, unit] = (start_ms, before + count)
            if self._timer is None:
                self._timer = threading.Timer(GATHER_S, self.deliver)
                self._timer.daemon = True
                self._timer.start()

    def deliver(self) -> None:
        """Hands over what was gathered. Never raises."""
        with self._lock:
            gathered, self._gathered = self._gathered, {}
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        try:
            if gathered:
                _hand_over(gathered)
        except Exception as error:
            log.warning("unit counts were lost: %s", error)


def _hand_over(gathered: dict[tuple[str, str], tuple[int, int]]) -> None:
    from carbon.client.session import UNITS_SOURCE
    from carbon.wire.energy import UnitCount

    now_ms = _now_ms()
    send_counts(
        [
            UnitCount(workload, unit, UNITS_SOURCE, start_ms, max(now_ms, start_ms + 1), count)
            for (workload, unit), (start_ms, count) in gathered.items()
        ]
    )


def send_counts(counts: list[UnitCount]) -> None:
    """To the agent; where none runs, into the spool that the next one delivers."""
    from carbon.client.agent_link import AgentGone, AgentLink
    from carbon.collect.agent_dir import AgentDir
    from carbon.collect.protocol import Accepted, Units
    from carbon.collect.spool import Spool
    from carbon.collect.spool_db import SpoolDb
    from carbon.data_dir import data_dir
    from carbon.wire.energy import UnitBatch

    folder = AgentDir(data_dir())
    try:
        link = AgentLink(folder.data_dir)
        link.call(Units(counts), Accepted)
        link.close()
    except AgentGone:
        folder.create()
        db = SpoolDb(folder.spool)
        Spool(db).append_units(UnitBatch(counts))
        db.close()


_buffer = UnitBuffer()


def _deliver_at_exit() -> None:
    _buffer.deliver()


def _start_anew() -> None:
    """In a forked child: what was gathered is the parent's to deliver."""
    global _buffer
    _buffer = UnitBuffer()


atexit.register(_deliver_at_exit)
os.register_at_fork(after_in_child=_start_anew)


def units(workload: str, unit: str, count: int = 1) -> None:
    """Says that `workload` produced `count` more of `unit` just now.

    Costs a dictionary entry; delivery follows in the background and at the program's end.
    """
    _buffer.add(workload, unit, count)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
