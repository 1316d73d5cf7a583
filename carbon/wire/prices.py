"""GET and POST of /v1/prices/{zone}: what energy costs, per kWh."""

from __future__ import annotations

from msgspec import Struct

from carbon.wire.energy import Ms, Text


class PriceBody(Struct, frozen=True):
    start_ms: Ms
    end_ms: Ms
    per_kwh: float


class PricesBody(Struct, frozen=True):
    """One publication of a source."""

    source: Text
    currency: Text
    published_at: Text
    points: list[PriceBody]
    licence: str = ""


class PriceRefused(Struct, frozen=True):
    start: str
    end: str
    #: empty_span, point_too_long, implausible or duplicate.
    reason: str


class PricesStored(Struct, frozen=True):
    zone: str
    accepted: int
    refused: list[PriceRefused]


class PriceAnswer(Struct, frozen=True):
    start: str
    end: str
    per_kwh: float
    currency: str
    source: str
    vintage: str


class PricesAnswer(Struct, frozen=True):
    zone: str
    start: str
    end: str
    points: list[PriceAnswer]
    #: What each source asks of those who show its prices, by its name.
    licences: dict[str, str]
