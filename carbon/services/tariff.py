"""What each device's energy costs over a day: the rates of `prices`, for many spans at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from carbon.domain.intensity import RatedPoint
from carbon.domain.rollup import Rate
from carbon.services.context import Context
from carbon.services.intensity import held_points, ranked_points
from carbon.services.prices import Prices
from carbon.storage.places import Place, place_changes, places_at
from carbon.storage.ratings import Ratings


class Tariff:
    """Rates of some devices in [start, end): each place is priced once a span."""

    def __init__(
        self,
        ratings: Ratings,
        changes_ms: Sequence[int],
        places: Sequence[Mapping[int, Place]],
        points: Mapping[str, Sequence[RatedPoint]],
    ) -> None:
        self._ratings = ratings
        #: `places[n]` holds from `changes_ms[n]` on.
        self._changes_ms = changes_ms
        self._places = places
        self._points = points

    @classmethod
    def load(
        cls,
        context: Context,
        connection: Connection,
        ratings: Ratings,
        devices: Sequence[int],
        start_ms: int,
        end_ms: int,
    ) -> Tariff:
        changes_ms = [start_ms, *place_changes(connection, start_ms, end_ms)]
        zone = context.settings.zone
        places = [places_at(connection, devices, at_ms, zone) for at_ms in changes_ms]
        zones = {place.zone for known in places for place in known.values()}
        points = {zone: ranked_points(connection, zone, start_ms, end_ms) for zone in zones}
        return cls(ratings, changes_ms, places, points)

    def places(self, at_ms: int) -> Mapping[int, Place]:
        return self._places[bisect_right(self._changes_ms, at_ms) - 1]

    def rates(self, start_ms: int, end_ms: int) -> dict[Place, Rate]:
        """The rate of each place over a span inside one quarter-hour.

        Raises InvalidInput(`missing_intensity`).
        """
        places = dict(enumerate(set(self.places(start_ms).values())))
        points = {
            zone: held_points(zone, _reaching(self._points[zone], start_ms, end_ms), *span)
            for span in [(start_ms, end_ms)]
            for zone in {place.zone for place in places.values()}
        }
        prices = Prices(self._ratings, (start_ms, end_ms), places, points)
        return {place: prices.rate(number) for number, place in places.items()}


def _reaching(points: Sequence[RatedPoint], start_ms: int, end_ms: int) -> list[RatedPoint]:
    return [point for point in points if point.start_ms < end_ms and point.end_ms > start_ms]
