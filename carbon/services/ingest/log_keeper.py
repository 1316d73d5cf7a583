"""SQLite's log, brought into the database beside the one who writes."""

from __future__ import annotations

import logging
import threading
import time

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from carbon.storage.engine import checkpoint, is_in_memory

log = logging.getLogger("carbon.storage")

#: Between two times, while somebody writes: at full load a few hundred pages.
_EVERY_S = 0.05


class LogKeeper:
    """A thread that keeps the log short. Else whoever commits when it has grown to its length
    copies all of it, 15 ms for 16 MB, and everybody behind waits; of a log that was brought in
    a moment ago little is left to copy then."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_needed = engine.dialect.name == "sqlite" and not is_in_memory(engine)
        self._wrote = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="log keeper", daemon=True)

    def start(self) -> None:
        if self._is_needed:
            self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wrote.set()
        if self._thread.is_alive():
            self._thread.join()

    def wrote(self) -> None:
        """Something was committed."""
        self._wrote.set()

    def _run(self) -> None:
        while self._wrote.wait() and not self._stopping:
            self._wrote.clear()
            try:
                checkpoint(self._engine)
            except SQLAlchemyError as error:  # the next commit brings it in, or tells why not
                log.debug("the log stays where it is: %s", error)
            time.sleep(_EVERY_S)
