"""One request to a carbon server and its answer, or the error that it was."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from carbon.collect.server_address import ServerAddress, find_server
from carbon.errors import (
    CarbonError,
    Conflicting,
    Forbidden,
    InvalidInput,
    MalformedInput,
    NotFound,
    Retryable,
    StorageFull,
    TooBusy,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnsupportedMedia,
)

Json = dict[str, Any]

_KINDS: tuple[type[CarbonError], ...] = (
    MalformedInput,
    InvalidInput,
    Unauthorized,
    Forbidden,
    NotFound,
    Conflicting,
    TooLarge,
    UnsupportedMedia,
    TooBusy,
    Unavailable,
    StorageFull,
)
_BY_STATUS = {kind.status: kind for kind in _KINDS}
_MEMBERS = frozenset({"type", "title", "status", "code", "detail"})


#: After which a server that is summing up is asked again.
_LATE_S = 10


class Exchange:
    """A connection pool to one server, with its key."""

    def __init__(
        self, server: ServerAddress, timeout_s: float, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.url = server.url
        headers = {"Authorization": f"Bearer {server.key}"} if server.key else {}
        self._http = httpx2.Client(
            base_url=server.url, headers=headers, timeout=timeout_s, transport=transport
        )

    def close(self) -> None:
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """Raises the CarbonError that the server states, or Unavailable where none answers."""
        content = None if body is None else msgspec.json.encode(body)
        typed = {"Content-Type": "application/json", **(headers or {})}
        try:
            answer = self._http.request(
                method, path, content=content, params=dict(_pairs(query or {})), headers=typed
            )
        except httpx2.ReadTimeout:
            raise Unavailable(
                "answer_late",
                f"{self.url} took the call and has not answered yet: it may still be summing up "
                "what was brought; ask again in a minute",
                _LATE_S,
            ) from None
        except httpx2.TransportError as error:
            raise Unavailable(
                "server_unreachable",
                f"no answer from {self.url} ({error}): run `carbon up`, or set CARBON_URL",
            ) from None
        if not answer.is_success:
            raise _problem(answer)
        return answer


def _pairs(query: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Lists as the API takes them, with commas; what is None was not asked for."""
    for name, value in query.items():
        if isinstance(value, list | tuple):
            yield name, ",".join(map(str, value))
        elif value is not None:
            yield name, str(value)


def _problem(answer: httpx2.Response) -> CarbonError:
    """The server's problem document (RFC 9457) as the error that it was there."""
    try:
        members = msgspec.json.decode(answer.content, type=Json)
    except msgspec.DecodeError:
        members = {}
    code = str(members.get("code", f"http_{answer.status_code}"))
    detail = str(members.get("detail") or f"{answer.request.url} answers {answer.status_code}")
    extra = {name: value for name, value in members.items() if name not in _MEMBERS}
    kind = _BY_STATUS.get(answer.status_code, CarbonError)
    retry_after = answer.headers.get("Retry-After", "")
    if issubclass(kind, Retryable):
        extra.pop("retry_after_s", None)
        return kind(code, detail, int(retry_after) if retry_after.isdigit() else 1, **extra)
    return kind(code, detail, **extra)


def known_server(url: str | None, key: str | None, data_dir: Path | None) -> ServerAddress:
    """Raises Unavailable(`no_server`) where nothing says where one is, and
    InvalidInput(`key_malformed`) for a key that no header could carry."""
    url = url or os.environ.get("CARBON_URL")
    key = key or os.environ.get("CARBON_KEY")
    if url is None and data_dir is None:
        from carbon.settings import Settings

        data_dir = Settings().data_dir
    server = find_server(data_dir or Path(), url, key, key_name="admin_key")
    if server is None:
        raise Unavailable(
            "no_server", "no server is known here: start one with `carbon up`, or set CARBON_URL"
        )
    if server.key and not (server.key.isascii() and server.key.isprintable()):
        raise InvalidInput("key_malformed", "what CARBON_KEY holds is no key of carbon's")
    return server
