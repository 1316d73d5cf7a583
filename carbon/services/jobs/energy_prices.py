"""What energy costs in a zone: brought by people or a feed, told beside its intensity."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.price import (
    PricePoint,
    PublishedPrice,
    holding,
    is_currency,
    is_plausible_price,
)
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.domain.yearly import normal_zone
from carbon.errors import InvalidInput
from carbon.grid.validation import CLOCK_SKEW_MS
from carbon.services.context import Context
from carbon.services.grid.intensity import known_zone
from carbon.services.jobs.plan_inputs import PoolTerms
from carbon.storage.energy_prices import LONGEST_PRICE_MS, prices_between, save_prices
from carbon.storage.engine import reading, writing
from carbon.wire.prices import PriceAnswer, PriceRefused, PricesAnswer, PricesBody, PricesStored


def prices_of(context: Context, zone: str, start_ms: int, end_ms: int) -> list[PublishedPrice]:
    """What holds over [start, end), gaps left as gaps."""
    with reading(context.engine) as connection:
        return holding(prices_between(connection, zone, start_ms, end_ms), start_ms, end_ms)


def price_answer(context: Context, zone: str, start_ms: int, end_ms: int) -> PricesAnswer:
    """Raises NotFound(`unknown_zone`)."""
    with reading(context.engine) as connection:
        name = known_zone(connection, zone)
    held = prices_of(context, name, start_ms, end_ms)
    points = [
        PriceAnswer(
            to_rfc3339(p.point.start_ms),
            to_rfc3339(p.point.end_ms),
            p.point.per_kwh,
            p.point.currency,
            p.source,
            to_rfc3339(p.published_ms),
        )
        for p in held
    ]
    licences = {p.source: p.licence for p in held}
    return PricesAnswer(name, to_rfc3339(start_ms), to_rfc3339(end_ms), points, licences)


def record_prices(context: Context, zone: str, body: PricesBody, published_ms: int) -> PricesStored:
    """Stores what can be meant of a publication, and answers what cannot.

    Raises InvalidInput: `bad_currency`, `from_the_future`.
    """
    if not is_currency(body.currency):
        raise InvalidInput("bad_currency", "write the currency as its three letters, such as EUR")
    if published_ms > context.clock.now_ms() + CLOCK_SKEW_MS:
        raise InvalidInput("from_the_future", "published_at lies over 5 minutes ahead")
    name = normal_zone(zone)
    kept: dict[int, PricePoint] = {}
    refused = []
    for row in body.points:
        point = PricePoint(row.start_ms, row.end_ms, row.per_kwh, body.currency)
        if (reason := _flaw(point, kept)) is None:
            kept[point.start_ms] = point
        else:
            start, end = to_rfc3339(point.start_ms), to_rfc3339(point.end_ms)
            refused.append(PriceRefused(start, end, reason))
    store_prices(context, name, list(kept.values()), body.source, published_ms, body.licence)
    return PricesStored(name, len(kept), refused)


def store_prices(
    context: Context,
    zone: str,
    points: list[PricePoint],
    source: str,
    published_ms: int,
    licence: str,
) -> int:
    """Stores what differs from what already holds; returns how many points that are."""
    if not points:
        return 0
    start_ms, end_ms = min(p.start_ms for p in points), max(p.end_ms for p in points)
    with writing(context.engine) as connection:
        held = holding(prices_between(connection, zone, start_ms, end_ms), start_ms, end_ms)
        said = {p.point for p in held if p.source == source}
        made = [PublishedPrice(p, source, published_ms, licence) for p in points if p not in said]
        save_prices(connection, zone, made)
    return len(made)


def _flaw(point: PricePoint, kept: dict[int, PricePoint]) -> str | None:
    length_ms = point.end_ms - point.start_ms
    if not 0 < length_ms <= LONGEST_PRICE_MS:
        return "empty_span" if length_ms <= 0 else "point_too_long"
    if not is_plausible_price(point.per_kwh):
        return "implausible"
    return "duplicate" if point.start_ms in kept else None


def with_known_prices(
    connection: Connection, terms: PoolTerms, zone: str, timezone: str, now_ms: int
) -> PoolTerms:
    """The terms of a pool that weighs money and names no prices, with those of the next day.

    A mean for each hour of the civil day; hours of which nothing is known take the mean of the
    others. Where no price is known, money weighs nothing.
    """
    if not terms.g_per_money or terms.money_per_kwh:
        return terms
    end_ms = now_ms + MS_PER_DAY
    held = holding(prices_between(connection, zone, now_ms, end_ms), now_ms, end_ms)
    if not held:
        return terms
    paid, spans = [0.0] * 24, [0] * 24
    for price in held:
        at_ms = price.point.start_ms
        while at_ms < price.point.end_ms:
            mark_ms = min(floor_to(at_ms, MS_PER_HOUR) + MS_PER_HOUR, price.point.end_ms)
            hour = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone)).hour
            paid[hour] += price.point.per_kwh * (mark_ms - at_ms)
            spans[hour] += mark_ms - at_ms
            at_ms = mark_ms
    mean = sum(paid) / sum(spans)
    by_hour = tuple(p / s if s else mean for p, s in zip(paid, spans, strict=True))
    return msgspec.structs.replace(terms, money_per_kwh=by_hour)
