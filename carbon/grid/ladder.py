"""Which sources serve a zone, best first: feeds, own forecast, typical hours, yearly figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from carbon.domain.intensity import EmissionScope
from carbon.domain.typical import TYPICAL
from carbon.domain.yearly import normal_zone
from carbon.grid import eia_zones, energy_charts, entsoe, neso, rte
from carbon.grid.feed import OWN_FORECAST

BUNDLED: Final = "bundled"

#: The rank of what people bring themselves, by import or by post: before every feed.
BROUGHT_RANK: Final = -1


@dataclass(frozen=True, slots=True)
class Step:
    """One source and whom it serves."""

    source: str
    #: None for every zone.
    zones: frozenset[str] | None = None
    #: None for a source that takes the scope of what it is made from.
    scope: EmissionScope | None = None

    def serves(self, zone: str, scope: EmissionScope | None) -> bool:
        return (self.zones is None or zone in self.zones) and (
            scope is None or self.scope is None or scope is self.scope
        )


#: The sources that need no key. `own` learns from the history of any other.
DEFAULT_STEPS: Final = (
    Step("neso", frozenset(neso.ZONES), EmissionScope.DIRECT),
    Step("energy_charts", frozenset(energy_charts.ZONES), EmissionScope.LIFECYCLE),
    Step("eia_files", frozenset(eia_zones.ZONES), EmissionScope.LIFECYCLE),
    Step("rte", frozenset({rte.ZONE}), EmissionScope.DIRECT),
    Step(OWN_FORECAST),
    Step(TYPICAL),
    Step(BUNDLED),
)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The order of sources, for all zones or set for some.

    `orders` maps a zone to its sources, best first; the bundled figure is always the last
    step, named or not, so that no zone is ever without.
    """

    steps: Sequence[Step] = DEFAULT_STEPS
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def sources_for(self, zone: str, scope: EmissionScope | None = None) -> tuple[str, ...]:
        """The sources of a zone, of one scope where given: life-cycle and direct never mix."""
        zone = normal_zone(zone)
        if zone in self.orders:
            return (*(name for name in self.orders[zone] if name != BUNDLED), BUNDLED)
        return tuple(step.source for step in self.steps if step.serves(zone, scope))

    def source_rank(self, zone: str, source: str) -> int:
        """The place of a source in its zone's ladder, for `RatedPoint.source_rank`.

        0 is the primary. A source that no step knows was brought by people and ranks before
        all; one that is known but not set for the zone comes after all that are.
        """
        sources = self.sources_for(zone)
        if source in sources:
            return sources.index(source)
        known = {step.source for step in self.steps}
        return len(sources) if source in known else BROUGHT_RANK


#: Every source there is. Those with a key serve the zones that the key sees; a step without
#: points in a zone is passed over. Of two for a zone the one nearer to consumption goes first.
ALL_STEPS: Final = (
    Step("site"),
    Step("electricity_maps", None, EmissionScope.LIFECYCLE),
    Step("watttime", None, EmissionScope.DIRECT),
    *DEFAULT_STEPS[:2],
    Step("entsoe", frozenset(entsoe.AREAS), EmissionScope.LIFECYCLE),
    Step("eia", frozenset(eia_zones.ZONES), EmissionScope.LIFECYCLE),
    *DEFAULT_STEPS[2:],
)

#: The ladder by which stored points are ranked, whatever feed brought them.
EVERY: Final = Ladder(ALL_STEPS)
#: The ladder of a service without settings of its own.
KEYLESS: Final = Ladder()


def sources_for(zone: str, scope: EmissionScope | None = None) -> tuple[str, ...]:
    """The key-less sources of a zone, best first."""
    return KEYLESS.sources_for(zone, scope)


def source_rank(zone: str, source: str) -> int:
    """The place of a source in the key-less ladder of a zone."""
    return KEYLESS.source_rank(zone, source)
