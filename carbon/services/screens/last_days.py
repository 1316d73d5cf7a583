"""The last whole days against as many before them: carbon, energy and water."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.factor import FactorKind
from carbon.domain.inventory import water_of
from carbon.domain.principal import Principal
from carbon.domain.units import kwh
from carbon.services.context import Context
from carbon.services.sci.time_range import TimeRange, midnight_ms
from carbon.services.sci.today import Figure
from carbon.services.screens.breakdown import By, breakdown
from carbon.storage.device_sums import energy_by_device
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import workload_names
from carbon.storage.places import Place, Places
from carbon.storage.settled import pieces_between

#: Whole weeks, so that each weekday counts alike.
DAYS: Final = 7


class LastDays(Struct, frozen=True):
    start_ms: int
    #: The last midnight: a day that is not over would look like a fall.
    end_ms: int
    #: Null where nothing was read.
    total_g: Figure | None
    total_g_before: float | None
    energy_kwh: float | None
    energy_kwh_before: float | None
    #: gCO2e of each day; null where nothing was read.
    total_g_by_day: list[float | None]
    #: On site, by the WUE of the cloud region or zone; null where none is known.
    water_l: float | None
    water_l_before: float | None
    #: Zones and regions whose WUE nobody stated: their water is not in the sum.
    water_unknown: list[str]


def last_days(context: Context, principal: Principal, places: Places) -> LastDays:
    """`places` are those of all devices."""
    timezone = ZoneInfo(context.settings.timezone)
    today = datetime.fromtimestamp(context.clock.now_ms() / 1000, timezone).date()
    first, end_ms = today - timedelta(days=DAYS), midnight_ms(today, timezone)
    window = TimeRange(midnight_ms(first, timezone), end_ms, "")
    told = breakdown(context, principal, window, By.ZONE)
    with reading(context.engine) as connection:
        own = None
        if not principal.sees_all_teams:
            own = [id_ for id_, _ in workload_names(connection, principal.team)]
        water_l, unknown = _water(context, connection, window, places, own)
        before = _water(context, connection, window.before(), places, own)[0]
    by_day = zip(*(line.total_g_by_step for line in told.lines), strict=True)
    return LastDays(
        window.start_ms,
        end_ms,
        told.total_g if told.lines else None,
        told.total_g_before,
        told.energy_kwh if told.lines else None,
        told.energy_kwh_before,
        [None if all(g is None for g in day) else sum(g or 0.0 for g in day) for day in by_day],
        water_l,
        before,
        unknown,
    )


def _water(
    context: Context,
    connection: Connection,
    window: TimeRange,
    places: Places,
    own: Collection[int] | None,
) -> tuple[float | None, list[str]]:
    """(litres on site, where no WUE is known)."""
    timezone = ZoneInfo(context.settings.timezone)
    pieces = pieces_between(connection, window.start_ms, window.end_ms, timezone)
    energy_mj = energy_by_device(connection, pieces, timezone, own)
    it_kwh = _by_place(energy_mj, places.at(window.end_ms - 1, context.settings.zone))
    book = factor_book(connection)
    found = {at: book.of_region(FactorKind.WUE, at, window.start_ms) for at in it_kwh}
    return water_of(it_kwh, {at: factor.value for at, factor in found.items() if factor})


def _by_place(energy_mj: Mapping[int, int], places: Mapping[int, Place]) -> dict[str, float]:
    it_kwh: dict[str, float] = {}
    for device, mj in energy_mj.items():
        place = places[device]
        at = place.region or place.zone
        it_kwh[at] = it_kwh.get(at, 0.0) + kwh(mj)
    return it_kwh
