"""Clients that cost next to nothing: whole requests made beforehand, sent over plain sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from carbon.bench.serving import Service


def request(running: Service, body: bytes, media: str, path: str = "/v1/energy") -> bytes:
    """The bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {running.key}\r\n"
        f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True, slots=True)
class Load:
    """What became of some clients' requests."""

    seconds: float
    #: Of each request, from when it was due to its answer.
    took_s: list[float]

    @property
    def per_s(self) -> float:
        return len(self.took_s) / self.seconds

    @property
    def p99_ms(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)] * 1000


def at_once(running: Service, clients: Sequence[Sequence[bytes]]) -> Load:
    """Each client sends its requests one after the other, as fast as it is answered."""

    def send(connection: _Connection, requests: Sequence[bytes]) -> list[float]:
        took = []
        for one in requests:
            began = time.perf_counter()
            connection.ask(one)
            took.append(time.perf_counter() - began)
        return took

    return _all(running, clients, send)


def paced(running: Service, clients: Sequence[Sequence[bytes]], per_s: float) -> Load:
    """All clients together send so many requests a second, each when it is due: an answer that
    is late makes the next ones late as well, and counts."""
    every_s = len(clients) / per_s

    def send(connection: _Connection, requests: Sequence[bytes]) -> list[float]:
        took = []
        due = time.perf_counter() + every_s * connection.number / len(clients)
        for one in requests:
            time.sleep(max(0.0, due - time.perf_counter()))
            connection.ask(one)
            took.append(time.perf_counter() - due)
            due += every_s
        return took

    return _all(running, clients, send)


class _Connection:
    def __init__(self, url: str, number: int) -> None:
        parts = urlsplit(url)
        self.number = number
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, whole: bytes) -> None:
        """Raises RuntimeError for any answer but 201 and 202."""
        self._socket.sendall(whole)
        answer = b""
        while not _is_whole(answer):
            part = self._socket.recv(65536)
            if not part:
                raise RuntimeError("the service hung up")
            answer += part
        if answer[9:12] not in (b"201", b"202"):
            raise RuntimeError(answer.decode(errors="replace"))

    def close(self) -> None:
        self._socket.close()


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


_Send = Callable[[_Connection, Sequence[bytes]], list[float]]


def _all(running: Service, clients: Sequence[Sequence[bytes]], send: _Send) -> Load:
    connections = [_Connection(running.url, number) for number in range(len(clients))]
    took: list[list[float]] = [[] for _ in clients]
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            took[number] = send(connections[number], clients[number])
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(clients))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    for connection in connections:
        connection.close()
    if failed:
        raise failed[0]
    return Load(seconds, [one for of_client in took for one in of_client])
