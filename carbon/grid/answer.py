"""One HTTP question to a feed: its answer in the agreed shape, or a FeedError that says why not."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2
import msgspec

from carbon.grid.feed import FeedAnswerInvalid, FeedRateLimited, FeedUnreachable

Shape = TypeVar("Shape")

#: A source that asks for silence without saying how long gets this much.
DEFAULT_RETRY_AFTER_S = 300
#: A source cannot silence us for longer: a mistyped date must not lose a zone for good.
LONGEST_RETRY_AFTER_S = 86_400


def feed_client(timeout_s: float = 20.0) -> httpx2.Client:
    """The HTTP client that feeds share. Each of connect, read and write may take `timeout_s`."""
    return httpx2.Client(
        timeout=timeout_s, follow_redirects=True, headers={"User-Agent": "carbon-ledger"}
    )


def get_answer(
    http: httpx2.Client, feed: str, url: str, shape: type[Shape], params: Mapping[str, str]
) -> Shape:
    """GET `url`, decoded strictly. Raises FeedError; nothing else comes out of a bad feed."""
    try:
        response = http.get(url, params=params)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FeedUnreachable(feed, f"no answer from {url}: {_reason(error)}") from error
    _expect_success(response, feed, url)
    try:
        return msgspec.json.decode(response.content, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FeedAnswerInvalid(feed, f"{url} answered {_glimpse(response)}: {error}") from error


def _expect_success(response: httpx2.Response, feed: str, url: str) -> None:
    status = response.status_code
    if status == 429 or (status == 503 and "Retry-After" in response.headers):
        raise FeedRateLimited(feed, f"{url} asks to slow down ({status})", retry_after_s(response))
    if status >= 500:
        raise FeedUnreachable(feed, f"{url} failed with {status}")
    if status != 200:
        raise FeedAnswerInvalid(feed, f"{url} answered {status}: {_glimpse(response)}")


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


def _glimpse(response: httpx2.Response) -> str:
    """The beginning of a body, fit for one line of a status page."""
    text = response.content[:80].decode("utf-8", "replace")
    return repr(" ".join(text.split())) if text.strip() else "an empty body"
