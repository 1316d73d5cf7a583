"""Actual generation per type (A75) of web-api.tp.entsoe.eu, as XML."""

from __future__ import annotations

from datetime import UTC, datetime

HOUR_MS = 3_600_000
TOKEN = "entsoe-secret-token"
NAMESPACE = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"
#: psrType: (resolution, MW).
SERIES = {
    "B14": ("PT60M", 3000),
    "B04": ("PT15M", 2000),
    "B02": ("PT15M", 1000),
    "B16": ("PT15M", 500),
    "B10": ("PT15M", 700),
}


def answer(query: dict[str, str], now_ms: int) -> tuple[int, str]:
    if query.get("securityToken") != TOKEN:
        return 401, f"<html>Unauthorized {query.get('securityToken')}</html>"
    start_ms, end_ms = parse(query["periodStart"]), parse(query["periodEnd"])
    if query["documentType"] == "A44":
        return 200, prices(start_ms, end_ms, query["in_Domain"])
    if query["documentType"] in ("A69", "A71"):
        return 200, foretold(query["documentType"], start_ms, end_ms)
    end_ms = min(end_ms, now_ms - now_ms % HOUR_MS - HOUR_MS)
    if end_ms <= start_ms or query["in_Domain"].endswith("NORWAY"):
        return 200, acknowledgement("999", "No matching data found")
    series = [
        time_series(kind, resolution, mw, start_ms, end_ms)
        for kind, (resolution, mw) in SERIES.items()
    ]
    pumped = time_series("B10", "PT15M", 900, start_ms, end_ms, "outBiddingZone_Domain.mRID")
    return 200, document("".join([*series, pumped]))


def foretold(document_type: str, start_ms: int, end_ms: int) -> str:
    """Wind and sun apart (A69), or all plants without their kinds (A71), for 24 hours."""
    end_ms = min(end_ms, start_ms + 24 * HOUR_MS)
    if document_type == "A69":
        return document(time_series("B16", "PT15M", 1500, start_ms, end_ms))
    whole = time_series("B00", "PT60M", 7500, start_ms, end_ms)
    return document(whole.replace("<MktPSRType><psrType>B00</psrType></MktPSRType>", ""))


def prices(start_ms: int, end_ms: int, area: str) -> str:
    """EUR/MWh: 100 in the first quarter-hour, -20 from the second on; a local auction beside."""
    periods = "".join(
        "<TimeSeries>"
        f"<classificationSequence_AttributeInstanceComponent.position>{place}"
        "</classificationSequence_AttributeInstanceComponent.position>"
        f'<in_Domain.mRID codingScheme="A01">{area}</in_Domain.mRID>'
        "<currency_Unit.name>EUR</currency_Unit.name>"
        "<price_Measure_Unit.name>MWH</price_Measure_Unit.name><curveType>A03</curveType>"
        + period("PT15M", {1: first, 2: -20}, start_ms, end_ms).replace(
            "quantity>", "price.amount>"
        )
        + "</TimeSeries>"
        for place, first in ((2, 999), (1, 100))
    )
    name = "Publication_MarketDocument"
    space = "urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3"
    return f'<{name} xmlns="{space}">{periods}</{name}>'


def document(series: str) -> str:
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}<GL_MarketDocument xmlns="{NAMESPACE}">{series}</GL_MarketDocument>'


def time_series(
    kind: str,
    resolution: str,
    mw: int,
    start_ms: int,
    end_ms: int,
    side: str = "inBiddingZone_Domain.mRID",
) -> str:
    """By curve type A03 the points that repeat a value are left out: one says all."""
    return (
        "<TimeSeries><businessType>A01</businessType><curveType>A03</curveType>"
        f'<{side} codingScheme="A01">10Y1001A1001A83F</{side}>'
        f"<MktPSRType><psrType>{kind}</psrType></MktPSRType>"
        f"{period(resolution, {1: mw}, start_ms, end_ms)}</TimeSeries>"
    )


def period(resolution: str, quantities: dict[int, int], start_ms: int, end_ms: int) -> str:
    points = "".join(
        f"<Point><position>{position}</position><quantity>{mw}</quantity></Point>"
        for position, mw in quantities.items()
    )
    return (
        f"<Period><timeInterval><start>{minute(start_ms)}</start><end>{minute(end_ms)}</end>"
        f"</timeInterval><resolution>{resolution}</resolution>{points}</Period>"
    )


def acknowledgement(code: str, text: str) -> str:
    return (
        '<Acknowledgement_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-1:'
        'acknowledgementdocument:7:0"><mRID>1</mRID>'
        f"<Reason><code>{code}</code><text>{text}</text></Reason></Acknowledgement_MarketDocument>"
    )


def minute(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def parse(text: str) -> int:
    return round(datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp() * 1000)
