"""A source whose calls may never return: a driver that hangs costs its own devices alone.

Its calls run in a thread of their own. One that takes too long is left behind there; until it
comes back, the source is said to hang and nothing more is asked of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from carbon.collect.source import Device, ProcessUse, Sample, Source
from carbon.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Half of the longest step between two looks: the other sources lose nothing while we wait.
TIMEOUT_S: Final = 1.0
#: A driver without persistence wakes each GPU when it is first asked.
FIRST_TIMEOUT_S: Final = 20.0


class Watched:
    """A Source before a Source. Raises Unavailable `source_hangs` as long as it does."""

    def __init__(
        self, source: Source, timeout_s: float = TIMEOUT_S, first_timeout_s: float = FIRST_TIMEOUT_S
    ) -> None:
        self.name = source.name
        self._source = source
        self._timeout_s, self._first_timeout_s = timeout_s, first_timeout_s
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
        self._hangs = False
        self._thread: threading.Thread | None = None

    def devices(self) -> Sequence[Device]:
        return self._ask(self._source.devices)

    def sample(self) -> Sequence[Sample]:
        return self._ask(self._source.sample)

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        return self._ask(lambda: self._source.processes(device))

    def close(self) -> None:
        """Leaves a source that hangs as it is: its thread ends with the process."""
        if self._thread is None:
            self._source.close()
        elif not self._hangs:
            self._ask(self._source.close)
            self._calls.put(None)

    def _ask(self, call: Callable[[], T]) -> T:
        if self._hangs:
            self._take_late_answer()
        timeout_s = self._timeout_s
        if self._thread is None:
            timeout_s = self._first_timeout_s
            self._thread = threading.Thread(
                target=self._serve, name=f"carbon-{self.name}", daemon=True
            )
            self._thread.start()
        self._calls.put(call)
        try:
            answer, error = self._answers.get(timeout=timeout_s)
        except Empty:
            self._hangs = True
            raise self._hanging() from None
        if error is not None:
            raise error
        return answer  # type: ignore[no-any-return]  # the queue carries answers of every kind

    def _take_late_answer(self) -> None:
        """What it says after so long is of no moment that we know."""
        try:
            self._answers.get_nowait()
        except Empty:
            raise self._hanging() from None
        self._hangs = False

    def _hanging(self) -> Unavailable:
        detail = f"{self.name} has not answered for {self._timeout_s:g} s: left out until it does"
        return Unavailable("source_hangs", detail)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._answers.put((call(), None))
            except Exception as error:
                self._answers.put((None, error))
