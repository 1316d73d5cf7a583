"""A source whose calls may never return: a driver that hangs costs its own devices alone.

Its calls run in a thread of their own, which also looks at the sampling rate by itself: the looks
are handed over a few at a time, since to wake another thread costs more than to look. A call
that takes too long is left behind there; until it comes back, the source is said to hang and
nothing more is asked of it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from carbon.collect.schedule import NS_PER_S, Schedule
from carbon.collect.source import Device, GlancingSource, ProcessUse, Sample, Source
from carbon.errors import Unavailable

T = TypeVar("T")

#: Half of the longest step between two looks: the other sources lose nothing while we wait.
TIMEOUT_S: Final = 1.0
#: A driver without persistence wakes each GPU when it is first asked.
FIRST_TIMEOUT_S: Final = 20.0
#: Some minutes of a large machine, should nobody ask.
_LOOKS_KEPT: Final = 20_000


class Watched:
    """A Source before a Source. Raises Unavailable `source_hangs` as long as it does."""

    def __init__(
        self,
        source: Source,
        rate_hz: float = 10.0,
        timeout_s: float = TIMEOUT_S,
        first_timeout_s: float = FIRST_TIMEOUT_S,
    ) -> None:
        self.name = source.name
        self._source = source
        self._glance = source.glance if isinstance(source, GlancingSource) else None
        self._schedule = Schedule(rate_hz, time.monotonic_ns())
        self._timeout_s, self._first_timeout_s = timeout_s, first_timeout_s
        self._seen: deque[Sample] = deque(maxlen=_LOOKS_KEPT)
        self._uuids: Sequence[str] = ()
        self._uses: Mapping[str, Sequence[ProcessUse] | None] | None = None
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
        self._hangs = False
        self._thread: threading.Thread | None = None

    def devices(self) -> Sequence[Device]:
        devices = self._ask(self._source.devices)
        self._uuids = [device.uuid for device in devices]
        return devices

    def sample(self) -> Sequence[Sample]:
        """The looks since the last call in order of time, and one of now."""
        self._uses = None
        return self._ask(self._look_now)

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        """As of the last `sample`: of all devices in one go."""
        if self._uses is None:
            self._uses = self._ask(self._use_now)
        return self._uses.get(device)

    def close(self) -> None:
        """Leaves a source that hangs as it is; its thread ends once it comes back."""
        if self._thread is None:
            self._source.close()
            return
        if not self._hangs:
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

    def _look(self) -> None:
        if self._glance is not None:
            self._glance()
        else:
            self._seen.extend(self._source.sample())

    def _look_now(self) -> Sequence[Sample]:
        now = self._source.sample()
        looks = [*self._seen, *now]
        self._seen.clear()
        return looks

    def _use_now(self) -> Mapping[str, Sequence[ProcessUse] | None]:
        return {uuid: self._source.processes(uuid) for uuid in self._uuids}

    def _serve(self) -> None:
        while True:
            now_ns = time.monotonic_ns()
            try:
                wait_s = (self._schedule.next_ns(now_ns) - now_ns) / NS_PER_S
                call = self._calls.get(timeout=wait_s)
            except Empty:
                # What is wrong now shows when it is asked for.
                with suppress(Exception):
                    self._look()
                continue
            if call is None:
                return
            try:
                self._answers.put((call(), None))
            except Exception as error:
                self._answers.put((None, error))
