"""Manners towards the sources: within 80 % of their limits, and never the same bytes twice."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import httpx2

from carbon.clock import Clock

#: Of a published limit, what we take.
SHARE: Final = 0.8
#: Answers remembered for conditional requests.
REMEMBERED: Final = 256
#: Extension of a request for a long file: it is neither kept here nor read before it is asked for.
PASSED_THROUGH: Final = "carbon_passed_through"
_DROPPED: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Limit:
    """Requests that a source allows in a time, as it publishes them."""

    requests: int
    per_s: float


#: By host, as published; a host that publishes none is asked twice a second at most.
LIMITS: Final = {
    "api.watttime.org": Limit(3_000, 300),
    "web-api.tp.entsoe.eu": Limit(400, 60),
    "api.eia.gov": Limit(9_000, 3_600),
}
UNPUBLISHED: Final = Limit(120, 60)
#: No burst is longer, whatever the limit would allow: EIA asks for under five in a second.
LONGEST_BURST: Final = 4


class Bucket:
    """A token bucket that fills evenly."""

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self._per_ns = SHARE * limit.requests / (limit.per_s * 1e9)
        self._clock = clock
        self._tokens = float(LONGEST_BURST)
        self._at_ns = clock.monotonic_ns()

    def take(self) -> None:
        """Sleeps until a request is due."""
        now_ns = self._clock.monotonic_ns()
        self._tokens += (now_ns - self._at_ns) * self._per_ns
        self._tokens = min(self._tokens, float(LONGEST_BURST)) - 1
        self._at_ns = now_ns
        if self._tokens < 0:
            self._clock.sleep(-self._tokens / self._per_ns / 1e9)


@dataclass(frozen=True, slots=True)
class _Remembered:
    mark: tuple[str, str]
    content: bytes
    headers: list[tuple[str, str]]


class Considerate(httpx2.BaseTransport):
    """Paces each host, and turns a 304 back into the answer that it confirms.

    Not for two threads at a time, as the poller is not.
    """

    def __init__(self, inner: httpx2.BaseTransport, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._known: OrderedDict[str, _Remembered] = OrderedDict()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self._bucket(request.url.host).take()
        if request.extensions.get(PASSED_THROUGH):
            return self._inner.handle_request(request)
        url = str(request.url)
        known = self._known.get(url) if request.method == "GET" else None
        if known:
            request.headers[known.mark[0]] = known.mark[1]
        response = self._inner.handle_request(request)
        if known and response.status_code == 304:
            response.close()
            return httpx2.Response(200, headers=known.headers, content=known.content)
        return self._remember(url, response) if request.method == "GET" else response

    def close(self) -> None:
        self._inner.close()

    def _bucket(self, host: str) -> Bucket:
        if host not in self._buckets:
            self._buckets[host] = Bucket(LIMITS.get(host, UNPUBLISHED), self._clock)
        return self._buckets[host]

    def _remember(self, url: str, response: httpx2.Response) -> httpx2.Response:
        mark = mark_of(response)
        if response.status_code != 200 or mark is None:
            return response
        response.read()
        headers = [(k, v) for k, v in response.headers.multi_items() if k.lower() not in _DROPPED]
        self._known[url] = _Remembered(mark, response.content, headers)
        self._known.move_to_end(url)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return httpx2.Response(200, headers=headers, content=response.content)


def mark_of(response: httpx2.Response) -> tuple[str, str] | None:
    """The header by which to ask for changes alone."""
    for given, asked in (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")):
        if value := response.headers.get(given):
            return asked, value
    return None
