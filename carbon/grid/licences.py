"""What each source allows, by its name: asked wherever figures leave the deployment.

The rule: with a key of this service, /v1 and the pages show every source, for they serve the
owner's own people. What others read (the compatible paths, exports, anything without a key)
holds only points of sources that may be redistributed; the next step of the ladder takes the
place of the rest. The owner may name a source whose contract allows more.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from carbon.domain.typical import TYPICAL
from carbon.grid import typical
from carbon.grid.bundled import Bundled
from carbon.grid.eia import Eia
from carbon.grid.eia_files import EiaFiles
from carbon.grid.electricity_maps import ElectricityMaps
from carbon.grid.energy_charts import EnergyCharts
from carbon.grid.entsoe import Entsoe
from carbon.grid.feed import OWN_FORECAST, Licence
from carbon.grid.neso import Neso
from carbon.grid.rte import Rte
from carbon.grid.site_meter import SiteMeter
from carbon.grid.watttime import WattTime

LICENCES: Final[Mapping[str, Licence]] = MappingProxyType(
    {
        TYPICAL: typical.LICENCE,
    }
    | {
        feed.name: feed.licence
        for feed in (
            Bundled,
            Eia,
            EiaFiles,
            ElectricityMaps,
            EnergyCharts,
            Entsoe,
            Neso,
            Rte,
            SiteMeter,
            WattTime,
        )
    }
)
#: An own forecast made from the points of a source that may not be passed on carries this.
RESTRICTED_FLAG: Final = "from_restricted_source"


def may_pass_on(
    source: str, flags: tuple[str, ...] = (), allowed: frozenset[str] = frozenset()
) -> bool:
    """Whether a point of `source` may leave the deployment.

    `allowed` are the sources that the owner's contract frees. A source that no feed has was
    brought by the owner, who answers for it.
    """
    if source == OWN_FORECAST:
        return RESTRICTED_FLAG not in flags
    licence = LICENCES.get(source)
    return licence is None or licence.may_redistribute or source in allowed


def allowed_of(text: str) -> frozenset[str]:
    """Of a setting such as `electricity_maps, watttime`."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())
