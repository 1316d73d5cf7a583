"""The contract of a source of grid intensity, and how it may fail.

Unavailable (503)
└── FeedError
    ├── FeedUnreachable    feed_unreachable     no answer, a time-out, or a 5xx
    ├── FeedAnswerInvalid  feed_answer_invalid  an answer that is not what was agreed
    ├── FeedKeyRefused     feed_key_refused     401 or 403
    └── FeedRateLimited    feed_rate_limited    429, or a 503 that names a time
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from carbon.domain.intensity import EmissionScope, IntensityPoint, Signal, Vintage
from carbon.domain.price import PricePoint
from carbon.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Licence:
    """What a source allows. Its attribution is the `licence` of each vintage, and so travels with
    the figures to every page and export."""

    name: str
    url: str
    #: The line to be shown wherever its figures are.
    attribution: str
    may_store: bool
    may_redistribute: bool
    commercial: bool


#: The source that our own forecasts are filed under.
OWN_FORECAST = "own"
CC_BY_4 = "CC BY 4.0"
CC_BY_4_URL = "https://creativecommons.org/licenses/by/4.0/"


class Feed(Protocol):
    """A source of grid intensity for some zones, one signal and one scope.

    `fetch` asks anew on each call and keeps nothing: pacing, retries and storage are the
    poller's. It hands on what the source published, implausible values included, since
    judging them is `validation`'s; but an answer of another shape than agreed raises. What the
    source left out stays out: no gap is filled and no null becomes a number.
    """

    #: Short, stable, stored with each vintage: `neso`.
    name: str
    licence: Licence
    signal: Signal
    scope: EmissionScope
    #: How often the source publishes; asking sooner brings nothing new.
    period_ms: int
    #: How far ahead it promises a forecast; 0 where it promises none.
    horizon_ms: int

    def zones(self) -> Sequence[str]:
        """The zones it serves, as the ledger writes them."""
        ...

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """What it now says about [start, end), UTC epoch ms; never an empty vintage.

        The past is ACTUAL, or ESTIMATED where the source says so, the rest FORECAST. Points
        are ordered as published. `zone` must be one of `zones()`. Raises a FeedError.
        """
        ...


def vintage_of(
    feed: Feed,
    zone: str,
    published_ms: int,
    points: Iterable[IntensityPoint],
    flags: tuple[str, ...] = (),
) -> Vintage:
    """What a source published of a zone, with all that it says of itself."""
    attribution = feed.licence.attribution
    return Vintage(
        zone, feed.name, feed.signal, feed.scope, published_ms, tuple(points), attribution, flags
    )


@runtime_checkable
class PriceFeed(Protocol):
    """A source that also says what energy costs."""

    name: str
    licence: Licence

    def zones(self) -> Sequence[str]: ...

    def fetch_prices(self, zone: str, start_ms: int, end_ms: int) -> list[PricePoint]:
        """What it now says about [start, end); empty where it has none yet. Raises a FeedError."""
        ...


@runtime_checkable
class PlacingFeed(Protocol):
    """A source that knows the areas of its zones."""

    name: str

    def zone_at(self, latitude: float, longitude: float) -> str | None:
        """The zone that feeds a place, in degrees; None where it has none there. Raises a
        FeedError."""
        ...


class FeedError(Unavailable):
    """A feed gave nothing that can be used. `retry_after_s` is the source's wish or ours."""

    feed_code: ClassVar[str] = "feed_failed"

    def __init__(self, feed: str, detail: str, retry_after_s: int = 60) -> None:
        super().__init__(self.feed_code, f"{feed}: {detail}", retry_after_s, feed=feed)


class FeedUnreachable(FeedError):
    feed_code = "feed_unreachable"


class FeedAnswerInvalid(FeedError):
    feed_code = "feed_answer_invalid"


class FeedKeyRefused(FeedError):
    feed_code = "feed_key_refused"


class FeedRateLimited(FeedError):
    feed_code = "feed_rate_limited"
