"""What energy costs, beside what it emits: for those who weigh both.

A price has no part in any gram. It may be negative, as on markets it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import pairwise
from typing import Final

#: Money per kWh outside of this is taken for another unit: no market of a grid clears there.
PLAUSIBLE_PER_KWH: Final = (-10.0, 20.0)
#: Letters of an ISO 4217 code.
CODE_LETTERS: Final = 3


@dataclass(frozen=True, slots=True)
class PricePoint:
    """Money per kWh over [start, end), UTC epoch ms."""

    start_ms: int
    end_ms: int
    per_kwh: float
    #: ISO 4217, such as EUR.
    currency: str


@dataclass(frozen=True, slots=True)
class PublishedPrice:
    """A price with who said so and when: published again, it is another one."""

    point: PricePoint
    source: str
    published_ms: int
    licence: str = ""


def is_plausible_price(per_kwh: float) -> bool:
    """NaN and infinities are not plausible; 0 and less are."""
    lowest, highest = PLAUSIBLE_PER_KWH
    return lowest <= per_kwh <= highest


def is_currency(code: str) -> bool:
    return len(code) == CODE_LETTERS and code.isascii() and code.isalpha() and code.isupper()


def holding(prices: Iterable[PublishedPrice], start_ms: int, end_ms: int) -> list[PublishedPrice]:
    """What holds over [start, end): at each moment what was published last, gaps left as gaps.

    Of two published at once the one whose source stands first in the alphabet. Points are cut to
    the window and where a later publication begins or ends.
    """
    inside = [p for p in prices if p.point.end_ms > start_ms and p.point.start_ms < end_ms]
    inside.sort(key=lambda price: price.point.start_ms)
    edges = {ms for p in inside for ms in (p.point.start_ms, p.point.end_ms)}
    marks = sorted({start_ms, end_ms, *(ms for ms in edges if start_ms < ms < end_ms)})
    made: list[PublishedPrice] = []
    open_: list[tuple[int, str, int]] = []  # newest first: (-published, source, place in inside)
    place = 0
    for lo, hi in pairwise(marks):
        while place < len(inside) and inside[place].point.start_ms <= lo:
            heappush(open_, (-inside[place].published_ms, inside[place].source, place))
            place += 1
        while open_ and inside[open_[0][2]].point.end_ms <= lo:
            heappop(open_)
        if open_:
            _add(made, inside[open_[0][2]], lo, hi)
    return made


def _add(made: list[PublishedPrice], price: PublishedPrice, start_ms: int, end_ms: int) -> None:
    """A point that was cut grows together again."""
    if made and made[-1].point.end_ms == start_ms and _same(made[-1], price):
        start_ms = made.pop().point.start_ms
    cut = PricePoint(start_ms, end_ms, price.point.per_kwh, price.point.currency)
    made.append(PublishedPrice(cut, price.source, price.published_ms, price.licence))


def _same(one: PublishedPrice, other: PublishedPrice) -> bool:
    """Whether both are the same thing said at once."""
    said = [(p.point.per_kwh, p.point.currency, p.source, p.published_ms) for p in (one, other)]
    return said[0] == said[1]
