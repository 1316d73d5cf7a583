"""Findings of a large fleet: made once an hour by a process of their own, and read by whoever asks
for recommendations. Looking at each hour of each device takes seconds where there are hundreds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from carbon.domain.recommendations import Finding
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.services.context import Context
from carbon.services.proofs.findings import find
from carbon.services.rollup.beside import Beside
from carbon.settings import Settings
from carbon.storage.engine import reading, writing
from carbon.storage.identities import workload_names
from carbon.storage.kept_findings import Kept, keep, newest_kept
from carbon.storage.recent import count_devices

log = logging.getLogger("carbon.kept_findings")

WINDOW_MS: Final = 28 * MS_PER_DAY
#: With fewer devices everyone who asks is answered from the roll-ups as they stand.
_MANY_DEVICES: Final = 50
#: While those of the present hour are being made the ones before them are told.
_LONGEST_KEPT_MS: Final = 3 * MS_PER_HOUR


def kept(connection: Connection, now_ms: int) -> tuple[Sequence[Finding], int, int] | None:
    """(findings of all workloads, start, end) of the newest window, where one is kept."""
    found = newest_kept(connection, now_ms - _LONGEST_KEPT_MS, now_ms)
    if found is None:
        return None
    return msgspec.json.decode(found.body, type=list[Finding]), found.start_ms, found.end_ms


def find_all(engine: Engine, _settings: Settings, start_ms: int, end_ms: int) -> list[Finding]:
    with reading(engine) as connection:
        names: Mapping[int, object] = dict(workload_names(connection, None))
        return list(find(connection, list(names), start_ms, end_ms))


class KeptFindings:
    """Makes them in the background, at most once an hour and one at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._thread: threading.Thread | None = None
        self._beside: Beside[[int, int], list[Finding]] | None = None

    def make_if_due(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            return
        end_ms = floor_to(self._context.clock.now_ms(), MS_PER_HOUR)
        if self._is_due(end_ms):
            self._thread = threading.Thread(
                target=self._try, args=(end_ms,), name="findings", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        if self._beside is not None:
            self._beside.kill()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _is_due(self, end_ms: int) -> bool:
        with reading(self._context.engine) as connection:
            if newest_kept(connection, end_ms, end_ms) is not None:
                return False
            return count_devices(connection) >= _MANY_DEVICES

    def _try(self, end_ms: int) -> None:
        try:
            self.make(end_ms)
        except Exception as error:
            log.warning("findings postponed: %s", error)

    def make(self, end_ms: int) -> None:
        """Of the window that ends at a full hour. Raises what finding them raises."""
        start_ms = end_ms - WINDOW_MS
        with Beside(self._context, find_all) as self._beside:
            self._beside.ask(start_ms, end_ms)
            found = self._beside.answer()
        body = msgspec.json.encode(found).decode()
        with writing(self._context.engine) as connection:
            keep(connection, Kept(start_ms, end_ms, body))
