"""The one writer of what is sent in bulk: commits in groups, acknowledges after the commit."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from carbon.clock import Clock
from carbon.errors import TooBusy
from carbon.services.context import Context
from carbon.services.ingest.log_keeper import LogKeeper
from carbon.services.rollup.straight_to_cold import write_cold
from carbon.storage.bulk import NotAllNew
from carbon.storage.engine import Pen
from carbon.storage.identities import IdCache, Identities

#: Sendings that may wait; beyond, clients are told to come back.
_QUEUE_SIZE = 256
#: Sendings that share one commit, and rows: beyond, whoever came first waits too long.
_GROUP_SIZE = 256
_GROUP_ROWS = 10_000
#: Sendings of fewer rows are handed over together, at the end of the event loop's turn: to wake
#: the writer for each would cost more than to write it.
_SMALL_ROWS = 64

Work = Callable[[Identities], Any]


@dataclass(slots=True)
class _Order:
    work: Work
    #: Of a thread that waits, or of an event loop.
    done: Future[Any] | asyncio.Future[Any]
    #: About how many it writes.
    rows: int
    answer: Any = None
    error: BaseException | None = None


class Writer:
    """A thread that runs sendings one after the other, several to a transaction.

    `work` gets the identities (and with them the connection) of its transaction. Where one
    sending fails, the group is rolled back and each is tried alone, so that it sinks nobody
    else.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pen = Pen(context.engine)
        self._log = LogKeeper(context.engine)
        self._clock: Clock = context.clock
        self._ids: IdCache = {}
        self._orders: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        #: Small ones of this turn of each loop.
        self._posted: dict[asyncio.AbstractEventLoop, list[_Order]] = {}
        self._wrote = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        self._log.start()
        self._thread.start()

    def stop(self) -> None:
        """Finishes what is queued."""
        self._orders.put(None)
        self._thread.join()
        self._log.stop()

    def submit(self, work: Work, rows: int = 1) -> Future[Any]:
        """Queues a sending; the future holds its answer once committed.

        Raises TooBusy(`ingest_full`) where too many wait.
        """
        self.check_room()
        done: Future[Any] = Future()
        done.set_running_or_notify_cancel()  # who hangs up cancels nothing that is queued
        self._orders.put(_Order(work, done, rows))
        return done

    def post(self, work: Work, rows: int = 1) -> asyncio.Future[Any]:
        """As `submit`, for the running event loop, which is woken once for all the answers of a
        commit."""
        self.check_room()
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        order = _Order(work, done, rows)
        if rows >= _SMALL_ROWS:
            self._orders.put(order)
            return done
        if loop not in self._posted:
            self._posted[loop] = []
            loop.call_soon(self._hand_over, loop)
        self._posted[loop].append(order)
        return done

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        for order in self._posted.pop(loop):
            self._orders.put(order)

    def check_room(self) -> None:
        """Raises TooBusy(`ingest_full`) where too many sendings wait: asked before a batch is
        read, so that a burst costs the server little."""
        if self.depth >= _QUEUE_SIZE:
            raise TooBusy("ingest_full", "too many batches are waiting; send again", 1)

    @property
    def depth(self) -> int:
        depth = self._orders.qsize()
        return depth + sum(map(len, list(self._posted.values()))) if self._posted else depth

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
                break
        self._pen.close()

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
        self._try(group)
        _tell(group)

    def _try(self, group: list[_Order]) -> None:
        """Each order has its answer or its error afterwards."""
        try:
            try:
                answers = self._commit(group)
            except NotAllNew:
                if len(group) > 1:
                    raise
                answers = self._commit(group)  # which now looks at each row
        except BaseException as error:
            if len(group) == 1:
                group[0].error = error
                return
            for order in group:
                self._try([order])
            return
        for order, answer in zip(group, answers, strict=True):
            order.answer = answer

    def _commit(self, group: list[_Order]) -> list[Any]:
        with self._pen.writing() as connection:
            ids = Identities(connection, self._clock.now_ms(), self._ids)
            answers = [order.work(ids) for order in group]
            if ids.pending.cold:
                ids.pending.flush_rows(connection)
                write_cold(self._context, ids)
            ids.pending.flush(connection)
        self._log.wrote()
        ids.remember()
        return answers


def _tell(group: Sequence[_Order]) -> None:
    """Whoever waits, that its sending was committed, or why it was not."""
    of_loop: dict[asyncio.AbstractEventLoop, list[_Order]] = defaultdict(list)
    for order in group:
        if isinstance(order.done, Future):
            _settle(order)
        else:
            of_loop[order.done.get_loop()].append(order)
    for loop, orders in of_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits there
            loop.call_soon_threadsafe(_settle, *orders)


def _settle(*orders: _Order) -> None:
    for order in orders:
        if order.done.done():
            continue  # who asked has hung up
        if order.error is not None:
            order.done.set_exception(order.error)
        else:
            order.done.set_result(order.answer)
