"""Delivery of the spool, in a thread of its own: nothing that fails here touches measurement."""

from __future__ import annotations

import gzip
import logging
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from carbon.clock import Clock
from carbon.collect.backoff import Backoff
from carbon.collect.server_address import ServerAddress
from carbon.collect.spool import Spool, SpooledBatch
from carbon.collect.thinning import thin_spool
from carbon.errors import CarbonError
from carbon.wire.energy import IngestAnswer

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

#: Refusals that may pass: a key that is being replaced, a proxy before its server, pressure.
_MAY_PASS = frozenset({401, 403, 404, 408, 429})
_BATCHES_AT_ONCE = 64
#: The server rejects what ends over five minutes ahead of its clock.
_AHEAD_MS = 240_000
_TIMEOUT_S = 15.0
#: With nothing to do we look again this often, should another process have written the spool.
_IDLE_S = 5.0
_FLUSH_POLL_S = 0.01


class _Outcome(Enum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    LATER = "later"


class Uploader(Struct):
    spool: Spool
    find_server: Callable[[], ServerAddress | None]
    clock: Clock
    backoff: Backoff = field(default_factory=Backoff)
    transport: httpx2.BaseTransport | None = None
    last_upload_ms: int | None = None
    last_error: str | None = None
    _asked_wait_s: float | None = None
    _signal: threading.Event = field(default_factory=threading.Event)
    _is_stopping: bool = False
    #: Something new was spooled; somebody waits for delivery.
    _is_new: bool = False
    _is_urgent: bool = False
    _failures: int = 0
    #: Until then the server asked to be left alone, by time.monotonic().
    _not_before_s: float = 0.0
    _client: httpx2.Client | None = None

    def run(self) -> None:
        """The thread's body; returns after `stop`."""
        while not self._is_stopping:
            try:
                is_done = self.deliver_pending()
                wait_s = _IDLE_S if is_done else self._after_failure()
                if not is_done:
                    thin_spool(self.spool, self.clock.now_ms())
            except Exception as error:
                # A damaged row or a full disk must not end delivery for good.
                self.last_error = str(error)
                log.exception("delivery stumbled")
                wait_s = self._after_failure()
            self._pause(wait_s)
        self._close_client()

    def wake(self) -> None:
        """There is something new; a wait after a failure goes on all the same, and its thread is
        left asleep: to wake it would cost whoever writes a millisecond. Never blocks."""
        self._is_new = True
        if self.last_error is None:
            self._signal.set()

    def flush(self, timeout_s: float) -> int:
        """Waits until the spool is empty, an attempt fails, or the time is over. Returns how many
        batches still wait. For any thread but the one that delivers."""
        until_s = time.monotonic() + timeout_s
        failures = self._failures
        self._is_urgent = True
        self._signal.set()
        while (depth := self.spool.depth) and time.monotonic() < until_s:
            if self._failures > failures or time.monotonic() < self._not_before_s:
                break
            time.sleep(_FLUSH_POLL_S)
        return depth

    def stop(self) -> None:
        self._is_stopping = True
        self._signal.set()

    def deliver_pending(self) -> bool:
        """Sends until nothing is left. False as soon as an attempt fails, with `last_error`."""
        while not self._is_stopping:
            batches = self.spool.pending(_BATCHES_AT_ONCE, self.clock.now_ms() + _AHEAD_MS)
            if not batches:
                break
            try:
                server = self.find_server()
            except CarbonError as error:
                self._failed(error.detail)
                return False
            if server is None:
                self.last_error = "no server is known: start one with `carbon up`"
                return False
            waiting = self.spool.depth
            for place, batch in enumerate(batches, 1):
                if self._deliver(batch, server, max(0, waiting - place)) is _Outcome.LATER:
                    return False
        return True

    def _deliver(self, batch: SpooledBatch, server: ServerAddress, waiting: int) -> _Outcome:
        import httpx2  # late: the first look need not wait for an HTTP client

        try:
            answer = self._post(batch, server, waiting)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            self._failed(f"{server.url}: {error or type(error).__name__}")
            return _Outcome.LATER
        if answer.is_success:
            self._delivered(batch, answer)
            return _Outcome.DELIVERED
        if answer.is_client_error and answer.status_code not in _MAY_PASS:
            log.error("batch %d was refused: %d %s", batch.seq, answer.status_code, answer.text)
            self.spool.refuse(batch, answer.status_code, answer.text)
            return _Outcome.REFUSED
        self._failed(f"{server.url}: {answer.status_code} {answer.text[:200]}")
        self._asked_wait_s = _retry_after_s(answer, self.clock)
        return _Outcome.LATER

    def _post(self, batch: SpooledBatch, server: ServerAddress, waiting: int) -> httpx2.Response:
        told = batch.request_body(self.clock.now_ms(), waiting)
        body = gzip.compress(told, compresslevel=1, mtime=0)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        if server.key:
            headers["Authorization"] = f"Bearer {server.key}"
        import httpx2

        if self._client is None:
            self._client = httpx2.Client(timeout=_TIMEOUT_S, transport=self.transport)
        return self._client.post(server.url + batch.kind.path, content=body, headers=headers)

    def _delivered(self, batch: SpooledBatch, answer: httpx2.Response) -> None:
        rejected = _rejections(answer)
        if rejected:
            log.error("of batch %d the server rejected %d: %s", batch.seq, rejected, answer.text)
            self.spool.keep_answer(batch, answer.status_code, answer.text)
        self.spool.ack([batch.seq])
        self.last_upload_ms = self.clock.now_ms()
        self.last_error = None
        self.backoff.succeeded()

    def _failed(self, error: str) -> None:
        if error != self.last_error:
            log.warning("cannot deliver: %s", error)
        self.last_error = error

    def _after_failure(self) -> float:
        self._failures += 1
        asked_s, self._asked_wait_s = self._asked_wait_s, None
        if asked_s is not None:
            self._not_before_s = time.monotonic() + asked_s
        return self.backoff.failed(asked_s)

    def _pause(self, wait_s: float) -> None:
        """A wait after a failure is cut short by `flush` and `stop` alone, and one that the server
        asked for by `stop` alone."""
        is_failing = self.last_error is not None
        until_s = time.monotonic() + wait_s
        while not self._is_stopping and (left_s := until_s - time.monotonic()) > 0:
            if self._is_urgent and time.monotonic() >= self._not_before_s:
                break
            if self._is_new and not is_failing:
                break
            self._signal.wait(left_s)
            self._signal.clear()
        self._is_urgent = self._is_new = False

    def _close_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _rejections(answer: httpx2.Response) -> int:
    """How many parts of a batch an otherwise good answer rejects; 0 where it does not say."""
    try:
        return len(msgspec.json.decode(answer.content, type=IngestAnswer).rejected)
    except msgspec.DecodeError:
        return 0


def _retry_after_s(answer: httpx2.Response, clock: Clock) -> float | None:
    """RFC 9110: seconds, or a date."""
    value = answer.headers.get("Retry-After")
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock.now_ms() / 1000)
    except ValueError:
        return None
