"""The one writer of what is sent in bulk: commits in groups, acknowledges after the commit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from carbon.clock import Clock
from carbon.errors import TooBusy
from carbon.services.context import Context
from carbon.storage.engine import writing
from carbon.storage.identities import IdCache, Identities
from carbon.storage.pending import NotAllNew

#: Sendings that may wait; beyond, clients are told to come back.
_QUEUE_SIZE = 256
#: Sendings that share one commit, and rows: beyond, whoever came first waits too long.
_GROUP_SIZE = 64
_GROUP_ROWS = 10_000

Work = Callable[[Identities], Any]


@dataclass
class _Order:
    work: Work
    done: Future[Any]
    #: About how many it writes.
    rows: int


class Writer:
    """A thread that runs sendings one after the other, several to a transaction.

    `work` gets the identities (and with them the connection) of its transaction. Where one
    sending fails, the group is rolled back and each is tried alone, so that it sinks nobody
    else.
    """

    def __init__(self, context: Context) -> None:
        self._engine = context.engine
        self._clock: Clock = context.clock
        self._ids: IdCache = {}
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        self._wrote = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finishes what is queued."""
        self._orders.put(None)
        self._thread.join()

    def submit(self, work: Work, rows: int = 1) -> Future[Any]:
        """Queues a sending; the future holds its answer once committed.

        Raises TooBusy(`ingest_full`) where too many wait.
        """
        self.check_room()
        order = _Order(work, Future(), rows)
        order.done.set_running_or_notify_cancel()  # who hangs up cancels nothing that is queued
        self._orders.put(order)
        return order.done

    def check_room(self) -> None:
        """Raises TooBusy(`ingest_full`) where too many sendings wait: asked before a batch is
        read, so that a burst costs the server little."""
        if self.depth >= _QUEUE_SIZE:
            raise TooBusy("ingest_full", "too many batches are waiting; send again", 1)

    @property
    def depth(self) -> int:
        return self._orders.qsize()

    def was_busy(self) -> bool:
        """Whether anything was written since last asked, or waits."""
        busy, self._wrote = self._wrote or self.depth > 0, False
        return busy

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            group = [order]
            stopping = self._fill(group)
            self._write(group)
            if stopping:
                return

    def _fill(self, group: list[_Order]) -> bool:
        """Takes what is waiting already; never waits for more. True where the end is reached."""
        rows = group[0].rows
        while len(group) < _GROUP_SIZE and rows < _GROUP_ROWS:
            try:
                order = self._orders.get_nowait()
            except queue.Empty:
                return False
            if order is None:
                return True
            group.append(order)
            rows += order.rows
        return False

    def _write(self, group: list[_Order]) -> None:
        self._wrote = True
        try:
            try:
                answers = self._commit(group)
            except NotAllNew:
                if len(group) > 1:
                    raise
                answers = self._commit(group)  # which now looks at each row
        except BaseException as error:
            if len(group) == 1:
                group[0].done.set_exception(error)
                return
            for order in group:
                self._write([order])
            return
        for order, answer in zip(group, answers, strict=True):
            order.done.set_result(answer)

    def _commit(self, group: list[_Order]) -> list[Any]:
        with writing(self._engine) as connection:
            ids = Identities(connection, self._clock.now_ms(), self._ids)
            answers = [order.work(ids) for order in group]
            ids.pending.flush(connection)
        ids.remember()
        return answers
