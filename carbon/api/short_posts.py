"""Short POSTs answered at the socket, for clients that send one reading a request.

What uvicorn makes of each request (a scope, a task, an event, messages) and Starlette of it again
costs three times as much as to take a reading in. A plain short POST to some paths is therefore
answered by the protocol itself; whatever is unusual about one goes the long way, which gives the
same answers (`api.straight`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from carbon.api.problems import problem_of, unforeseen
from carbon.errors import CarbonError

#: Bytes of a body; to larger ones the long way adds little.
MOST_BYTES = 16_384
#: Headers that ask for more than the short way gives.
_UNUSUAL = frozenset(
    {
        b"transfer-encoding",
        b"content-encoding",
        b"expect",
        b"upgrade",
        b"origin",
    }
)


_PLAIN = b"content-length: %d\r\ncontent-type: application/json\r\n"


@dataclass(frozen=True, slots=True)
class ShortPost:
    path: str
    #: Of its answer.
    status: int
    #: Answers from the application, the key that was sent, the body and the client's address.
    call: Callable[[FastAPI, str, bytes, str], asyncio.Future[Any]]
    #: A header that may hold the key instead of `Authorization`, and what it holds where there is
    #: none.
    key_header: bytes = b""
    no_key: bytes = b""


class _Exchange:
    """One such request and its answer. The protocol takes it for a cycle of its own: these are
    the attributes of one that it looks at."""

    def __init__(self, protocol: ShortPostProtocol, post: ShortPost, key: str) -> None:
        self._protocol, self._post, self._key = protocol, post, key
        self.body = bytearray()
        self.more_body = True
        self.disconnected = self.response_complete = False
        self.keep_alive = True
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for parts of the body."""

    def begin(self) -> None:
        protocol = self._protocol
        address = protocol.client[0] if protocol.client else ""
        try:
            told = self._post.call(protocol.application, self._key, bytes(self.body), address)
        except Exception as error:
            self._refuse(error)
        else:
            told.add_done_callback(self._tell)

    def _tell(self, done: asyncio.Future[Any]) -> None:
        error = done.exception()
        if error is not None:
            self._refuse(error)
            return
        body = msgspec.json.encode(done.result())
        self._send(self._post.status, _PLAIN % len(body), body)

    def _refuse(self, error: BaseException) -> None:
        if isinstance(error, CarbonError):
            answer = problem_of(error)
        else:
            answer = unforeseen(f"POST {self._post.path}", error)
        lines = [b"%s: %s\r\n" % header for header in answer.raw_headers]
        self._send(answer.status_code, b"".join(lines), bytes(answer.body))

    def _send(self, status: int, headers: bytes, body: bytes) -> None:
        self.response_complete = True
        if not self.disconnected:
            self._protocol.send_whole(status, headers, body, self.keep_alive)


class ShortPostProtocol(HttpToolsProtocol):
    """uvicorn's own, with some calls answered at once."""

    #: What all connections of a server share; set by `protocol_for`.
    application: FastAPI
    posts: Mapping[bytes, ShortPost]
    most_bytes: int

    def on_headers_complete(self) -> None:
        post = self.posts.get(self.url)
        if post is not None and self._is_next() and (key := self._key_of_plain(post)):
            self.cycle = _Exchange(self, post, key)  # type: ignore[assignment]
        else:
            super().on_headers_complete()

    def _is_next(self) -> bool:
        """Whether it may be answered at once, and another request may follow."""
        before, parser = self.cycle, self.parser
        return (
            (before is None or before.response_complete)
            and self.limit_concurrency is None
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
        )

    def _key_of_plain(self, post: ShortPost) -> str:
        """The key of a request that is short and plain; nothing where it is not so."""
        key = token = length = media = b""
        for name, value in self.headers:
            if name == b"authorization":
                if key or value[:7].lower() != b"bearer ":
                    return ""
                key = value[7:].strip()
            elif name == b"content-length":
                length = value
            elif name == b"content-type":
                media = value
            elif name == post.key_header:
                token = value
            elif name in _UNUSUAL:
                return ""
        is_short = length.isdigit() and int(length) <= self.most_bytes
        if not is_short or media != b"application/json" or (token and token == post.no_key):
            return ""
        return (token or key).decode("latin-1")

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, _Exchange):
            self.cycle.more_body = False
            self.cycle.begin()
        else:
            super().on_message_complete()

    def send_whole(self, status: int, headers: bytes, body: bytes, keep_alive: bool) -> None:
        """An answer in one piece; `headers` are whole lines."""
        default = [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        end = b"\r\n" if keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((STATUS_LINE[status], *default, headers, end, body)))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()


def protocol_for(application: FastAPI, posts: Iterable[ShortPost]) -> type[ShortPostProtocol]:
    """The protocol of a server's connections, for uvicorn's `http`."""
    most_bytes = min(MOST_BYTES, application.state.context.settings.max_body_bytes)
    by_path = {post.path.encode(): post for post in posts}
    shared = {"application": application, "posts": by_path, "most_bytes": most_bytes}
    return type("ShortPostsOfApplication", (ShortPostProtocol,), shared)
