"""A thread for each engine that has to be waited for: one that is slow to answer holds up its own
attempts, and neither the scheduler's tick nor anybody else's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Condition, Thread
from typing import Final

from carbon.storage.leases import LeaseLost

#: Engines that answer from this machine's own disk: asked where we stand.
_AT_HAND: Final = frozenset({"local"})
#: Long enough for whoever wants to see all that a tick does.
_PATIENCE_S: Final = 30.0

Work = Callable[[], None]
_log = logging.getLogger(__name__)


class Lanes:
    """`patience_s` is how long a tick waits for what it has asked for; the rest goes on behind
    it, and is not asked for again before it is done."""

    def __init__(self, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._lanes: dict[str, _Lane] = {}

    def run(self, engine: str, key: str, work: Work) -> None:
        """Nothing happens where work of that key is still under way."""
        if engine in _AT_HAND:
            work()
        else:
            if engine not in self._lanes:
                self._lanes[engine] = _Lane(engine)
            self._lanes[engine].add(key, work)

    def settle(self) -> None:
        """Returns once all is done, or patience is over. Raises LeaseLost where any work met it."""
        end = time.monotonic() + self._patience_s
        for lane in self._lanes.values():
            lane.wait(end - time.monotonic())
        for lane in self._lanes.values():
            lane.check()

    def close(self) -> None:
        """What is under way is done; nothing is begun any more."""
        for lane in self._lanes.values():
            lane.close()
        self._lanes = {}


class _Lane:
    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[tuple[str, Work] | None] = SimpleQueue()
        self._under_way: set[str] = set()
        self._changed = Condition()
        self._lost: LeaseLost | None = None
        # A daemon: the end of the process waits for no engine. What it was about to write is
        # told again by the engine to whoever leads next.
        Thread(target=self._serve, name=f"engine-{name}", daemon=True).start()

    def add(self, key: str, work: Work) -> None:
        with self._changed:
            if key in self._under_way:
                return
            self._under_way.add(key)
        self._work.put((key, work))

    def wait(self, timeout_s: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, max(0.0, timeout_s))

    def check(self) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost

    def close(self) -> None:
        self._work.put(None)

    def _serve(self) -> None:
        while (asked := self._work.get()) is not None:
            key, work = asked
            try:
                work()
            except LeaseLost as lost:
                self._lost = lost
            except Exception:  # one attempt's trouble must not stop the others
                _log.exception("%s", key)
            finally:
                with self._changed:
                    self._under_way.discard(key)
                    self._changed.notify_all()
