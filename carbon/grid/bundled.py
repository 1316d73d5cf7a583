"""The bundled yearly table as a feed: the last step of each ladder, never away."""

from __future__ import annotations

from collections.abc import Sequence

from carbon.clock import from_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.units import MS_PER_DAY
from carbon.domain.yearly import ZONE_NAMES, yearly_intensity
from carbon.grid.feed import CC_BY_4, CC_BY_4_URL, Licence

#: When the table was derived: the moment of its one publication.
PUBLISHED_MS = from_rfc3339("2026-11-23T00:00:00Z")


class Bundled:
    """Serves any zone inside a country of the table, and the world."""

    name = "bundled"
    licence = Licence(
        CC_BY_4,
        CC_BY_4_URL,
        "Yearly intensity: Our World in Data after Ember, US EPA eGRID; tables of CodeCarbon",
        may_store=True,
        may_redistribute=True,
        commercial=True,
    )
    signal = Signal.AVERAGE
    #: Of most of the table; each vintage carries its own (US states are direct).
    scope = EmissionScope.LIFECYCLE
    period_ms = 365 * MS_PER_DAY
    horizon_ms = 0

    def zones(self) -> Sequence[str]:
        return tuple(ZONE_NAMES)

    def fetch(self, zone: str, start_ms: int, end_ms: int) -> list[Vintage]:
        """One YEARLY point over the whole span, and its flags. Raises NotFound `unknown_zone`."""
        figure = yearly_intensity(zone)
        point = IntensityPoint(start_ms, end_ms, figure.g_per_kwh, PointKind.YEARLY)
        return [
            Vintage(
                figure.zone,
                self.name,
                self.signal,
                figure.scope,
                PUBLISHED_MS,
                (point,),
                figure.source,
                (*figure.flags, f"year_{figure.year}"),
            )
        ]
