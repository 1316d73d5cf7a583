"""The paths of all feeds on one loopback port.

    with GridDouble(now_ms) as double:
        feed = Neso(http, clock, base_url=double.url)

Values follow `curve`, so that a test knows what a moment must say. `alter` changes the body
before it is sent; `failure` replaces the whole answer.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from grid_double import (
    eia_files_shape,
    eia_shape,
    electricity_maps_shape,
    energy_charts_shape,
    entsoe_shape,
    neso_shape,
    rte_shape,
    watttime_shape,
)

Body = dict[str, Any]


class Failure(StrEnum):
    """How a feed has been seen to fail, each with what it sends."""

    SERVER_ERROR = "500"
    HTML = "an HTML page with 200"
    EMPTY_OBJECT = "{} with 200"
    NOT_FOUND = "404"
    RATE_LIMITED = "429 with Retry-After: 120"
    RATE_LIMITED_UNTIL = "429 with a date"
    RATE_LIMITED_BARE = "429 without a word"
    HANG = "no answer"
    CUT_OFF = "half a body"
    NAN = "a NaN in the JSON"


_ANSWERS: dict[Failure, tuple[int, str, dict[str, str]]] = {
    Failure.SERVER_ERROR: (500, "Internal Server Error", {}),
    Failure.HTML: (200, "<html><body>Under maintenance</body></html>", {}),
    Failure.EMPTY_OBJECT: (200, "{}", {}),
    Failure.NOT_FOUND: (404, '{"detail": "not available"}', {}),
    Failure.RATE_LIMITED: (429, "slow down", {"Retry-After": "120"}),
    Failure.RATE_LIMITED_BARE: (429, "slow down", {}),
    Failure.NAN: (200, '{"data": [NaN], "unix_seconds": [NaN], "co2eq": [NaN]}', {}),
}


def curve(ms: int) -> float:
    """The intensity that the double reports for a moment, g/kWh, 110 to 325."""
    half_hours = ms // 1_800_000
    return 110.0 + half_hours * 37 % 48 * 4.5 + half_hours % 8 * 0.5


class GridDouble:
    """The server. `now_ms` splits what is measured from what is forecast."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.failure: Failure | None = None
        self.alter: Callable[[Body], Body] = lambda body: body
        self.tokens = watttime_shape.Tokens()
        #: Whether answers carry an ETag, and unchanged ones are a 304.
        self.etags = False
        self.statuses: list[int] = []
        #: Paths asked for, with their queries, in order.
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> GridDouble:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(
        self, target: str, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[int, Body | str]:
        """Status and body of a path, as the real one would answer on a good day."""
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        now_ms, path = self.now_ms, parts.path
        if path.startswith("/carbon-intensity/"):
            key = headers.get("auth-token", "")
            return electricity_maps_shape.answer(path, query, key, now_ms, curve)
        if path == "/login" or path.startswith("/v3/"):
            told = headers.get("Authorization", "")
            return watttime_shape.answer(path, query, told, self.tokens, now_ms, curve)
        if path == "/api":
            return entsoe_shape.answer(query, now_ms)
        if path.startswith(eia_files_shape.PATH):
            text = eia_files_shape.text_of(path.removeprefix(eia_files_shape.PATH), now_ms)
            return (404, "not there") if text is None else (200, text)
        if path.startswith("/electricity/"):
            return eia_shape.answer(path, query, now_ms)
        if path.startswith("/api/explore/"):
            return rte_shape.answer(query, now_ms, curve)
        if parts.path.startswith("/regional/intensity/"):
            return neso_shape.regional(parts.path, self.now_ms, curve)
        if parts.path.startswith("/intensity/"):
            return neso_shape.answer(parts.path, self.now_ms, curve)
        if parts.path == "/co2eq":
            return energy_charts_shape.answer(query, self.now_ms, curve)
        return 404, {"detail": "Not Found"}


def _handler_of(double: GridDouble) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            double.requests.append(self.path)
            failure = double.failure
            if failure is None:
                self._answer(*double.answer(self.path, self.headers))
            elif failure is Failure.HANG:
                double.closing.wait(10)
            elif failure is Failure.CUT_OFF:
                self._send(200, '{"data": [', {"Content-Length": "4000"})
            elif failure is Failure.RATE_LIMITED_UNTIL:
                # Two minutes after the Date of this very answer, by a clock that is years off.
                self._send(429, "", {"Retry-After": "Wed, 21 Oct 2015 07:30:00 GMT"})
            else:
                self._send(*_ANSWERS[failure])

        def _answer(self, status: int, body: Body | str) -> None:
            if status == 200 and not isinstance(body, str):
                body = double.alter(body)
            text = body if isinstance(body, str) else json.dumps(body)
            mark = f'"{zlib.crc32(text.encode())}"'
            if double.etags and self.headers.get("If-None-Match") == mark:
                status, text = 304, ""
            self._send(status, text, {"ETag": mark} if double.etags else {})

        def date_time_string(self, timestamp: float | None = None) -> str:
            return "Wed, 21 Oct 2015 07:28:00 GMT"

        def _send(self, status: int, text: str, headers: dict[str, str]) -> None:
            body = text.encode()
            double.statuses.append(status)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    return Handler
