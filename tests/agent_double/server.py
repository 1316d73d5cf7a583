"""A small HTTP server that answers as it is told and keeps the batches it took."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Status, headers, body of an answer to a path and a body.
Answer = tuple[int, dict[str, str], dict[str, Any]]
Behaviour = Callable[[str, dict[str, Any]], Answer]


def accept_all(path: str, body: dict[str, Any]) -> Answer:
    count = len(body.get("intervals", body.get("units", [])))
    return 202, {}, {"accepted": count, "duplicate": 0, "conflict": 0, "rejected": []}


@dataclass
class RecordingServer:
    behave: Behaviour = accept_all
    port: int = 0
    #: (path, body, key) of each batch that was answered with 2xx.
    taken: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    requests: int = 0
    _connections: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> RecordingServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer._connections.append(self.connection)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    raw = gzip.decompress(raw)
                key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                status, headers, answer = outer.answer(self.path, json.loads(raw), key)
                body = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """As a process that ends: open connections go with it."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, path: str, body: dict[str, Any], key: str) -> Answer:
        self.requests += 1
        answer = self.behave(path, body)
        if answer[0] < 300:
            self.taken.append((path, body, key))
        return answer

    def intervals(self) -> list[dict[str, Any]]:
        """As a ledger keeps them: one for each key, whatever was sent twice."""
        rows = {
            (i["device"], i["start_ms"], i["end_ms"], i.get("run") or i.get("subject")): i
            for path, body, _ in self.taken
            if path == "/v1/energy"
            for i in body["intervals"]
        }
        return list(rows.values())

    def units(self) -> list[dict[str, Any]]:
        return [
            unit for path, body, _ in self.taken if path == "/v1/units" for unit in body["units"]
        ]
