"""What the energy of some devices is multiplied with over one span: rating, intensity, PUE."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.intensity import EmissionScope, RatedPoint, Signal, mean_g_per_kwh
from carbon.domain.rollup import Rate
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.grid.intensity import points_of
from carbon.storage.places import Place, places_at
from carbon.storage.ratings import Ratings, rating_of


class Prices:
    """The rate of each device over [start, end) inside one bucket."""

    def __init__(
        self,
        ratings: Ratings,
        span_ms: tuple[int, int],
        places: Mapping[int, Place],
        points: Mapping[str, Sequence[RatedPoint]],
    ) -> None:
        self._ratings = ratings
        self._start_ms, self._end_ms = span_ms
        self._places = places
        self._points = points
        #: Thousands of devices stand in few places.
        self._rates: dict[Place, Rate] = {}

    @classmethod
    def load(
        cls,
        context: Context,
        connection: Connection,
        ratings: Ratings,
        devices: Collection[int],
        span_ms: tuple[int, int],
        signal: Signal = Signal.AVERAGE,
        scope: EmissionScope | None = None,
    ) -> Prices:
        places = places_at(connection, devices, span_ms[0], context.settings.zone)
        points = {
            zone: points_of(connection, zone, *span_ms, signal, scope)
            for zone in {place.zone for place in places.values()}
        }
        return cls(ratings, span_ms, places, points)

    def rate(self, device: int) -> Rate:
        """Raises InvalidInput(`missing_intensity`)."""
        place = self._places[device]
        known = self._rates.get(place)
        if known is None:
            known = self._rates[place] = self._made(place)
        return known

    def _made(self, place: Place) -> Rate:
        points = self._points[place.zone]
        mean = mean_g_per_kwh(points, self._start_ms, self._end_ms)
        if mean is None:
            raise InvalidInput(
                "missing_intensity",
                f"no such intensity is stored for {place.zone} at {to_rfc3339(self._start_ms)}",
            )
        main = max(points, key=_overlap(self._start_ms, self._end_ms))
        rating = self._ratings.id_of(rating_of(place.zone, main, place.flags))
        return Rate(rating, main.vintage, mean, place.pue)


def _overlap(start_ms: int, end_ms: int) -> Callable[[RatedPoint], int]:
    return lambda point: min(point.end_ms, end_ms) - max(point.start_ms, start_ms)
