"""One HTTP question to a feed: its answer in the agreed shape, or a FeedError that says why not."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import httpx2
import msgspec

from carbon.clock import Clock, SystemClock
from carbon.grid.etiquette import PASSED_THROUGH, Considerate, mark_of
from carbon.grid.feed import FeedAnswerInvalid, FeedKeyRefused, FeedRateLimited, FeedUnreachable

Shape = TypeVar("Shape")
Made = TypeVar("Made")

#: A source that asks for silence without saying how long gets this much.
DEFAULT_RETRY_AFTER_S = 300
#: A refused key is not asked with again for an hour: only a person can mend it.
KEY_RETRY_AFTER_S = 3_600
#: A source cannot silence us for longer: a mistyped date must not lose a zone for good.
LONGEST_RETRY_AFTER_S = 86_400
#: A file that comes for longer, or is longer, is no answer.
LONGEST_READ_S = 300.0
MOST_CHARACTERS = 400_000_000


def feed_client(timeout_s: float = 20.0, clock: Clock | None = None) -> httpx2.Client:
    """The HTTP client that feeds share. Each of connect, read and write may take `timeout_s`.

    It keeps to each source's limits and asks again only for what changed (`etiquette`). The
    library's own log of addresses is silenced: some sources take their key in the address.
    """
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    return httpx2.Client(
        timeout=timeout_s,
        follow_redirects=True,
        headers={"User-Agent": "carbon-ledger"},
        transport=Considerate(httpx2.HTTPTransport(), clock or SystemClock()),
    )


def get_answer(
    http: httpx2.Client,
    feed: str,
    url: str,
    shape: type[Shape],
    params: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    secret: str = "",
) -> Shape:
    """GET `url`, decoded strictly. Raises FeedError; nothing else comes out of a bad feed.

    `secret` is a key that params or headers carry: no redirect is followed with it, and it is
    blotted out of what an error quotes.
    """
    content = get_content(http, feed, url, params, headers, secret)
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        told = _without(f"{url} answered {_glimpse(content)}: {error}", secret)
        raise FeedAnswerInvalid(feed, told) from None


def get_content(
    http: httpx2.Client,
    feed: str,
    url: str,
    params: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    secret: str = "",
    auth: tuple[str, str] | None = None,
) -> bytes:
    """As `get_answer`, undecoded. `auth` is a user's name and password."""
    follow = not secret and auth is None
    try:
        response = http.get(url, params=params, headers=headers, auth=auth, follow_redirects=follow)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        told = _without(f"no answer from {url}: {_reason(error)}", secret)
        raise FeedUnreachable(feed, told) from None
    _expect_success(response, feed, url, secret)
    return response.content


@dataclass(frozen=True, slots=True)
class ReadFile(Generic[Made]):
    """What was made of a file, and the header by which to ask whether it changed."""

    made: Made
    mark: tuple[str, str] | None


def read_lines(
    http: httpx2.Client,
    feed: str,
    url: str,
    read: Callable[[Iterator[str]], Made],
    mark: tuple[str, str] | None = None,
) -> ReadFile[Made] | None:
    """A long file, read line by line as it comes; None where it is as `mark` says, or not there.

    Raises FeedError, also where it breaks off: then nothing of it counts.
    """
    try:
        with http.stream(
            "GET", url, headers=dict([mark] if mark else []), extensions={PASSED_THROUGH: True}
        ) as response:
            if response.status_code in (304, 404):
                return None
            if response.status_code != 200:
                response.read()
                _expect_success(response, feed, url, "")
            return ReadFile(read(_lines(response, feed, url)), mark_of(response))
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        raise FeedUnreachable(feed, f"no answer from {url}: {_reason(error)}") from None


def _lines(response: httpx2.Response, feed: str, url: str) -> Iterator[str]:
    until, characters = time.monotonic() + LONGEST_READ_S, 0
    for line in response.iter_lines():
        characters += len(line)
        if characters > MOST_CHARACTERS or time.monotonic() > until:
            raise FeedUnreachable(feed, f"{url} does not end")
        yield line


def _without(text: str, secret: str) -> str:
    return text.replace(secret, "***") if secret else text


def _expect_success(response: httpx2.Response, feed: str, url: str, secret: str) -> None:
    status = response.status_code
    if status == 429 or (status == 503 and "Retry-After" in response.headers):
        raise FeedRateLimited(feed, f"{url} asks to slow down ({status})", retry_after_s(response))
    if status in (401, 403):
        told = _without(f"{url} refuses the key ({status}): {_glimpse(response.content)}", secret)
        raise FeedKeyRefused(feed, told, KEY_RETRY_AFTER_S)
    if status >= 500:
        raise FeedUnreachable(feed, f"{url} failed with {status}")
    if status != 200:
        told = _without(f"{url} answered {status}: {_glimpse(response.content)}", secret)
        raise FeedAnswerInvalid(feed, told)


def retry_after_s(response: httpx2.Response) -> int:
    """Seconds of a Retry-After header in either of its forms, within a day.

    A date counts from the answer's own Date header, so that our clock need not be right.
    """
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        seconds = _seconds_between(response.headers.get("Date", ""), text)
    return round(min(max(seconds, 1.0), LONGEST_RETRY_AFTER_S))


def _seconds_between(start: str, end: str) -> float:
    try:
        return (parsedate_to_datetime(end) - parsedate_to_datetime(start)).total_seconds()
    except (TypeError, ValueError):
        return DEFAULT_RETRY_AFTER_S


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()


def _glimpse(content: bytes) -> str:
    """The beginning of a body, fit for one line of a status page."""
    text = content[:80].decode("utf-8", "replace")
    return repr(" ".join(text.split())) if text.strip() else "an empty body"
