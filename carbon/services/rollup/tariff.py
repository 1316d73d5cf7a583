"""What each device's energy costs over a day: the rates of `prices`, for many spans at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection

from carbon.domain.intensity import RatedPoint
from carbon.domain.rollup import Rate
from carbon.services.grid.intensity import held_points, ranked_points
from carbon.services.rollup.prices import Prices
from carbon.storage.columns import Ints
from carbon.storage.places import Place, place_changes, places_at
from carbon.storage.ratings import Ratings


class Tariff:
    """Rates of some devices in [start, end): each place is priced once a span."""

    def __init__(
        self,
        ratings: Ratings,
        changes_ms: Sequence[int],
        devices: Sequence[int],
        places: Sequence[Mapping[int, Place]],
        points: Mapping[str, Sequence[RatedPoint]],
    ) -> None:
        self._ratings = ratings
        #: `places[n]` holds from `changes_ms[n]` on.
        self._changes_ms = changes_ms
        self._places = places
        self._kinds = [_numbered(devices, known) for known in places]
        self._points = points
        #: Between two of them the same points hold, and a rate depends on a span's width alone.
        held = [point for some in points.values() for point in some]
        self._marks_ms = sorted({at for p in held for at in (p.start_ms, p.end_ms)})
        self._known: dict[tuple[int, int, int], dict[Place, Rate]] = {}

    @classmethod
    def load(
        cls,
        default_zone: str | None,
        connection: Connection,
        ratings: Ratings,
        devices: Sequence[int],
        start_ms: int,
        end_ms: int,
    ) -> Tariff:
        changes_ms = [start_ms, *place_changes(connection, start_ms, end_ms)]
        places = [places_at(connection, devices, at_ms, default_zone) for at_ms in changes_ms]
        zones = {place.zone for known in places for place in known.values()}
        points = {zone: ranked_points(connection, zone, start_ms, end_ms) for zone in zones}
        return cls(ratings, changes_ms, devices, places, points)

    def places(self, at_ms: int) -> Mapping[int, Place]:
        return self._places[self._segment(at_ms)]

    def kinds(self, at_ms: int) -> tuple[Ints, list[Place]]:
        """Of each device, in the order given, the number of its place; and the places."""
        return self._kinds[self._segment(at_ms)]

    def _segment(self, at_ms: int) -> int:
        return bisect_right(self._changes_ms, at_ms) - 1

    def rates(self, start_ms: int, end_ms: int) -> dict[Place, Rate]:
        """The rate of each place over a span inside one quarter-hour.

        Raises InvalidInput(`missing_intensity`).
        """
        at = bisect_right(self._marks_ms, start_ms)
        key = (self._segment(start_ms), at, end_ms - start_ms)
        if any(mark < end_ms for mark in self._marks_ms[at : at + 1]):
            return self._priced(start_ms, end_ms)
        if key not in self._known:
            self._known[key] = self._priced(start_ms, end_ms)
        return self._known[key]

    def _priced(self, start_ms: int, end_ms: int) -> dict[Place, Rate]:
        _, places = self.kinds(start_ms)
        span = (start_ms, end_ms)
        points = {
            zone: held_points(zone, _reaching(self._points[zone], *span), *span)
            for zone in {place.zone for place in places}
        }
        prices = Prices(self._ratings, span, dict(enumerate(places)), points)
        return {place: prices.rate(number) for number, place in enumerate(places)}


def _numbered(devices: Sequence[int], places: Mapping[int, Place]) -> tuple[Ints, list[Place]]:
    numbers: dict[Place, int] = {}
    of_device = [numbers.setdefault(places[device], len(numbers)) for device in devices]
    return np.array(of_device, dtype=np.int64), list(numbers)


def _reaching(points: Sequence[RatedPoint], start_ms: int, end_ms: int) -> list[RatedPoint]:
    return [point for point in points if point.start_ms < end_ms and point.end_ms > start_ms]
