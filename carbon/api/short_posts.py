"""POSTs answered at the socket, for clients that send many readings, or one a request.

What uvicorn makes of each request (a scope, a task, an event, messages) and Starlette of it again
costs three times as much as to take a reading in, and a fifth of what a thousand of them take. A
plain POST to some paths is therefore answered by the protocol itself; whatever is unusual about one
goes the long way, which gives the same answers (`api.straight`). What the long way refuses before
it has read a body goes there, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from carbon.api.bodies import ENCODINGS, unpacked
from carbon.api.problems import problem_of, unforeseen
from carbon.errors import CarbonError

#: Bytes of a body that is read before anybody looks at its key.
MOST_BYTES = 16_384
#: Headers that ask for more than the short way gives.
_UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"origin"})

_PLAIN = b"content-length: %d\r\ncontent-type: application/json\r\n"
_JSON = b"application/json"
_AS_IT_IS = b"identity"


@dataclass(frozen=True, slots=True)
class Posted:
    """What a client sent."""

    key: str
    media: bytes
    #: Of the content, as the body is packed.
    encoding: bytes
    body: bytes
    #: The client's.
    address: str

    def plain(self, most: int) -> bytes:
        """The body as it was before its encoding. Raises TooLarge, MalformedInput."""
        return unpacked(self.encoding.decode(), self.body, most)


@dataclass(frozen=True, slots=True)
class ShortPost:
    path: str
    #: Of its answer.
    status: int
    #: Answers from the application and what was sent.
    call: Callable[[FastAPI, Posted], asyncio.Future[Any]]
    #: A header that may hold the key instead of `Authorization`, and what it holds where there is
    #: none.
    key_header: bytes = b""
    no_key: bytes = b""
    #: What its bodies are, and how they may be packed.
    media: frozenset[bytes] = frozenset({_JSON})
    encodings: frozenset[bytes] = frozenset({_AS_IT_IS})
    #: Whether bodies of more than `MOST_BYTES` are taken of a key, asked before they are read.
    is_welcome: Callable[[FastAPI, str], bool] = field(default=lambda _app, _key: False)


#: As the long way unpacks them.
PACKED = frozenset({_AS_IT_IS, *(name.encode() for name in ENCODINGS)})


class _Exchange:
    """One such request and its answer. The protocol takes it for a cycle of its own: these are
    the attributes of one that it looks at."""

    def __init__(self, protocol: ShortPostProtocol, post: ShortPost, asked: _Asked) -> None:
        self._protocol, self._post, self._asked = protocol, post, asked
        self.parts: list[bytes] = []
        self.more_body = True
        self.disconnected = self.response_complete = False
        self.keep_alive = True
        self.message_event = self

    def set(self) -> None:
        """Nobody waits for parts of the body."""

    def begin(self) -> None:
        protocol, asked = self._protocol, self._asked
        address = protocol.client[0] if protocol.client else ""
        body = b"".join(self.parts)
        self.parts.clear()
        try:
            posted = Posted(asked.key, asked.media, asked.encoding, body, address)
            told = self._post.call(protocol.application, posted)
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


class _Asked(NamedTuple):
    key: str
    media: bytes
    encoding: bytes


class ShortPostProtocol(HttpToolsProtocol):
    """uvicorn's own, with some calls answered at once."""

    #: What all connections of a server share; set by `protocol_for`.
    application: FastAPI
    posts: Mapping[bytes, ShortPost]
    #: Of any body.
    most_bytes: int

    def on_headers_complete(self) -> None:
        post = self.posts.get(self.url)
        if post is not None and self._is_next() and (asked := self._plain(post)):
            self.cycle = _Exchange(self, post, asked)  # type: ignore[assignment]
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

    def _plain(self, post: ShortPost) -> _Asked | None:
        """What the headers of a plain request ask; nothing where it is not so."""
        key = token = length = media = b""
        encoding = _AS_IT_IS
        for name, value in self.headers:
            if name == b"authorization":
                if key or value[:7].lower() != b"bearer ":
                    return None
                key = value[7:].strip()
            elif name == b"content-length":
                length = value
            elif name == b"content-type":
                media = value
            elif name == b"content-encoding":
                encoding = value
            elif name == post.key_header:
                token = value
            elif name in _UNUSUAL:
                return None
        if media not in post.media or encoding not in post.encodings:
            return None
        if not (token or key) or (token and token == post.no_key):
            return None
        asked = _Asked((token or key).decode("latin-1"), media, encoding)
        return asked if self._may_send(post, asked.key, length) else None

    def _may_send(self, post: ShortPost, key: str, length: bytes) -> bool:
        """Whether a body of this length is read: a large one of those alone who are known."""
        if not length.isdigit() or int(length) > self.most_bytes:
            return False
        return int(length) <= MOST_BYTES or post.is_welcome(self.application, key)

    def on_body(self, body: bytes) -> None:
        if isinstance(self.cycle, _Exchange):
            self.cycle.parts.append(body)
        else:
            super().on_body(body)

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
    most_bytes = application.state.context.settings.max_body_bytes
    by_path = {post.path.encode(): post for post in posts}
    shared = {"application": application, "posts": by_path, "most_bytes": most_bytes}
    return type("ShortPostsOfApplication", (ShortPostProtocol,), shared)
