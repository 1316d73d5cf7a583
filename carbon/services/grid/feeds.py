"""Which feeds a deployment has, by its settings: those without a key, and those it has one for.

A key that cannot be read is told and passed over: no feed may keep the service from starting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial

import httpx2

from carbon.domain.yearly import normal_zone
from carbon.grid.answer import feed_client
from carbon.grid.eia import Eia
from carbon.grid.eia_files import EiaFiles
from carbon.grid.electricity_maps import ElectricityMaps
from carbon.grid.energy_charts import EnergyCharts
from carbon.grid.entsoe import Entsoe
from carbon.grid.feed import Feed
from carbon.grid.neso import Neso
from carbon.grid.rte import Rte
from carbon.grid.site_meter import SiteMeter
from carbon.grid.source_factors import Sets, SourceFactors, source_factors
from carbon.grid.watttime import WattTime
from carbon.services.context import Context
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book

log = logging.getLogger("carbon.grid")


def build_feeds(context: Context) -> Sequence[Feed]:
    settings, clock = context.settings, context.clock
    http = feed_client(settings.feed_timeout_s, clock)
    sets = partial(_factors, context)
    keyed = list(_keyed(context, http, sets))
    keyless: list[Feed] = [
        Neso(http, clock, settings.neso_url),
        EnergyCharts(http, clock, settings.energy_charts_url),
        Rte(http, clock, settings.rte_url),
    ]
    if not any(feed.name == Eia.name for feed in keyed):  # the same, later and in a large file
        keyless.append(EiaFiles(http, clock, settings.eia_files_url, sets))
    return [*keyed, *keyless]


def _keyed(context: Context, http: httpx2.Client, sets: Sets) -> Iterator[Feed]:
    settings, clock = context.settings, context.clock
    if settings.site_intensity and settings.zone:
        yield SiteMeter(http, clock, settings.site_intensity, normal_zone(settings.zone))
    if key := _secret(context, "electricitymaps_key"):
        zones = _words(settings.electricitymaps_zones or settings.zone or "")
        yield ElectricityMaps(http, clock, key, zones, settings.electricitymaps_url)
    password = _secret(context, "watttime_password")
    if settings.watttime_user and password:
        regions = dict(_pairs(settings.watttime_regions))
        yield WattTime(
            http, clock, settings.watttime_user, password, regions, settings.watttime_url
        )
    if key := _secret(context, "entsoe_key"):
        yield Entsoe(http, clock, key, settings.entsoe_url, sets)
    if key := _secret(context, "eia_key"):
        yield Eia(http, clock, key, settings.eia_url, sets)


def _factors(context: Context) -> SourceFactors:
    """The set that the site has chosen, as it holds now; an unknown one is an error that the
    feed's status shows, and another set never stands in."""
    with reading(context.engine) as connection:
        book = factor_book(connection)
    return source_factors(book, context.settings.source_factors, context.clock.now_ms())


def _secret(context: Context, name: str) -> str | None:
    try:
        return context.settings.secret(name)
    except (OSError, UnicodeDecodeError) as error:
        log.warning("CARBON_%s_FILE names a file that cannot be read: %s", name.upper(), error)
        return None


def _words(text: str) -> list[str]:
    return [normal_zone(word) for word in text.split(",") if word.strip()]


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for word in filter(None, (word.strip() for word in text.split(","))):
        zone, _, region = word.partition("=")
        if zone and region:
            yield normal_zone(zone), region.strip()
        else:
            log.warning("CARBON_WATTTIME_REGIONS has %r: write US-CAL-CISO=CAISO_NORTH", word)
