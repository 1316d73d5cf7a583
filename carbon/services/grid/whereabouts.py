"""Which zone feeds a place, asked of the sources that know. Nothing is guessed from a map: borders
of grids follow neither countries nor straight lines."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import isfinite
from threading import Lock
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from carbon.errors import InvalidInput, NotFound
from carbon.grid.feed import FeedError, PlacingFeed
from carbon.services.context import Context
from carbon.services.grid.feeds import build_feeds
from carbon.wire.intensity import PlacedZone

#: Decimals by which a place is asked for, about a kilometre, and answers that are kept.
DECIMALS: Final = 2
MOST: Final = 256


@dataclass(slots=True, eq=False)
class _Asked:
    """What one deployment asked: its sources, in turn, and what they said."""

    feeds: list[PlacingFeed]
    known: OrderedDict[tuple[float, float], PlacedZone] = field(default_factory=OrderedDict)
    lock: Lock = field(default_factory=Lock)


_asked: WeakKeyDictionary[Engine, _Asked] = WeakKeyDictionary()
_lock = Lock()


def placed_zone(context: Context, latitude: float, longitude: float) -> PlacedZone:
    """The zone at a place in degrees, and who says so.

    Raises InvalidInput(`invalid_parameter`), NotFound(`place_unknown`) where no source can tell or
    has an area there, and the FeedError of the last one that was away.
    """
    if not (_within(latitude, 90.0) and _within(longitude, 180.0)):
        raise InvalidInput(
            "invalid_parameter", "latitude lies within 90 degrees, longitude within 180"
        )
    place = round(latitude, DECIMALS), round(longitude, DECIMALS)
    asked = _asked_by(context)
    with asked.lock:
        if place not in asked.known:
            asked.known[place] = _ask(asked.feeds, *place)
            while len(asked.known) > MOST:
                asked.known.popitem(last=False)
        return asked.known[place]


def _within(degrees: float, most: float) -> bool:
    return isfinite(degrees) and abs(degrees) <= most


def _asked_by(context: Context) -> _Asked:
    with _lock:
        if context.engine not in _asked:
            feeds = build_feeds(context) if context.settings.feeds else []
            _asked[context.engine] = _Asked([f for f in feeds if isinstance(f, PlacingFeed)])
        return _asked[context.engine]


def _ask(feeds: list[PlacingFeed], latitude: float, longitude: float) -> PlacedZone:
    away: FeedError | None = None
    for feed in feeds:
        try:
            zone = feed.zone_at(latitude, longitude)
        except FeedError as error:
            away = error
        else:
            if zone is not None:
                return PlacedZone(zone, feed.name)
    if away is not None:
        raise away
    told = "none of the sources has an area there" if feeds else "no source here can tell"
    raise NotFound(
        "place_unknown",
        f"{told}: set a key of Electricity Maps or WattTime, or take a zone of "
        "`carbon intensity zones`",
    )
