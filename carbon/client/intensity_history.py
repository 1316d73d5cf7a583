"""`carbon intensity backfill`: what a zone's feeds publish of the past, into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from carbon.client.http import Client
from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.intensity import PointKind, Vintage
from carbon.domain.units import MS_PER_DAY, floor_to
from carbon.errors import InvalidInput
from carbon.grid.feed import Feed, FeedError
from carbon.grid.ladder import EVERY

_PART_MS: Final = 14 * MS_PER_DAY
#: A part is known where so much of it is stored of the same source.
_KNOWN_SHARE: Final = 0.98


@dataclass
class Backfilled:
    zone: str
    source: str = ""
    accepted: int = 0
    quarantined: int = 0
    #: Points of parts that were stored already, and not asked for again.
    known: int = 0
    #: Parts that the feed could not answer.
    failed: list[str] = field(default_factory=list)


def backfill(
    client: Client,
    feeds: Sequence[Feed],
    zone: str,
    start_ms: int,
    end_ms: int,
    tell: Callable[[str], None] = lambda line: None,
) -> Backfilled:
    """[start, end) in parts of 14 days by the zone's best feed; what is stored is passed over.

    Raises InvalidInput(`no_feed`) for a zone that none of the feeds serves.
    """
    serving = [feed for feed in feeds if zone in feed.zones()]
    if not serving:
        raise InvalidInput(
            "no_feed",
            f"no feed serves {zone} here: set a key (CARBON_ELECTRICITYMAPS_KEY, "
            f"CARBON_ENTSOE_KEY …) or bring a file: carbon import intensity FILE.csv --zone COLUMN",
        )
    feed = min(serving, key=lambda one: EVERY.source_rank(zone, one.name))
    done = Backfilled(zone, feed.name)
    for lo, hi in _parts(start_ms, end_ms):
        stored = _stored(client, feed, zone, lo, hi)
        if sum(b - a for a, b in stored) >= _KNOWN_SHARE * (hi - lo):
            done.known += len(stored)
            continue
        try:
            vintages = feed.fetch(zone, lo, hi)
        except FeedError as error:
            done.failed.append(f"{to_rfc3339(lo)}: {error.detail}")
            continue
        for vintage in vintages:
            _post(client, vintage, end_ms, done)
        tell(f"{to_rfc3339(lo)}  {done.accepted} points")
    return done


def _parts(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """On days, so that another call asks for the same parts."""
    at_ms = floor_to(start_ms, _PART_MS)
    while at_ms < end_ms:
        yield max(at_ms, floor_to(start_ms, MS_PER_DAY)), min(at_ms + _PART_MS, end_ms)
        at_ms += _PART_MS


def _stored(
    client: Client, feed: Feed, zone: str, start_ms: int, end_ms: int
) -> list[tuple[int, int]]:
    answer = client.intensity(
        zone,
        start=to_rfc3339(start_ms),
        end=to_rfc3339(end_ms),
        signal=str(feed.signal),
        scope=str(feed.scope),
    )
    return [
        (from_rfc3339(point["start"]), from_rfc3339(point["end"]))
        for point in answer["points"]
        if point["source"] == feed.name and point["kind"] in ("actual", "estimated")
    ]


def _post(client: Client, vintage: Vintage, end_ms: int, done: Backfilled) -> None:
    points = [
        {"start_ms": p.start_ms, "end_ms": p.end_ms, "g_per_kwh": p.g_per_kwh}
        for p in vintage.points
        if p.kind is not PointKind.FORECAST and p.end_ms <= end_ms
    ]
    if not points:
        return
    body = {
        "source": vintage.source,
        "signal": vintage.signal,
        "scope": vintage.scope,
        "published_at": to_rfc3339(vintage.published_ms),
        "licence": vintage.licence,
        "points": points,
    }
    answer = client.post_intensity(vintage.zone, body)
    done.accepted += answer["accepted"]
    done.quarantined += len(answer["quarantined"])
