"""The inventory: all machines' energy by location and by market, embodied carbon and water."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.factor import FactorKind
from carbon.domain.factor_book import FactorBook
from carbon.domain.frames import FRAMES, Operated, Quantity, Row
from carbon.domain.inventory import Contract, HourOfZone, inventory_of, water_of
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_HOUR, NG_PER_G, ceil_to, energy_mj, floor_to, kwh
from carbon.errors import Conflicting, InvalidInput, NotFound
from carbon.services.audit import CONTRACT_RECORDED, contract_hash
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.held_devices import embodied_charges
from carbon.storage.audit import append
from carbon.storage.contracts import (
    all_contracts,
    contracts_between,
    find_contract,
    insert_contract,
)
from carbon.storage.engine import reading, writing
from carbon.storage.factors import factor_book
from carbon.storage.hours import DeviceHour, device_hours
from carbon.storage.identities import workload_names
from carbon.storage.ledger_rows import devices_by_id
from carbon.storage.places import Place, places_at
from carbon.wire.inventory import (
    ContractAnswer,
    ContractBody,
    ContractList,
    FrameAnswer,
    FrameLine,
    InventoryAnswer,
    ZoneLine,
)


def record_contract(context: Context, principal: Principal, body: ContractBody) -> ContractAnswer:
    """Raises InvalidInput for what cannot be a contract, Conflicting(`contract_exists`)."""
    made = Contract(
        body.id or f"ctr_{secrets.token_hex(8)}",
        body.kind,
        body.zone,
        _moment(body.start, "start"),
        _moment(body.end, "end"),
        energy_mj(body.energy_kwh),
        body.g_per_kwh,
        body.carbon_free,
        body.source,
        body.evidence,
    )
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        if find_contract(connection, made.id):
            raise Conflicting("contract_exists", f"{made.id} is recorded, and is never changed")
        insert_contract(connection, made, principal.key_id, now_ms)
        entry = {"hash": contract_hash(made)}
        append(connection, now_ms, principal.key_id, CONTRACT_RECORDED, made.id, entry)
    return _answer(made)


def list_contracts(context: Context) -> ContractList:
    with reading(context.engine) as connection:
        return ContractList([_answer(c) for c in all_contracts(connection)])


def _moment(text: str, name: str) -> int:
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "invalid_time", f"{name}: write RFC 3339 with an offset, such as 2026-01-31T08:00:00Z"
        ) from None


def _answer(contract: Contract) -> ContractAnswer:
    return ContractAnswer(
        contract.id,
        str(contract.kind),
        contract.zone,
        to_rfc3339(contract.start_ms),
        to_rfc3339(contract.end_ms),
        kwh(contract.energy_mj),
        contract.g_per_kwh,
        contract.is_carbon_free,
        contract.source,
        contract.evidence,
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """The window's hours with all that turns them into an inventory."""

    start_ms: int
    end_ms: int
    hours: list[DeviceHour]
    places: dict[int, Place]
    embodied_g: float
    contracts: list[Contract]
    book: FactorBook


def inventory(
    context: Context, principal: Principal, start_ms: int, end_ms: int
) -> InventoryAnswer:
    """Whole hours that touch the window. Raises InvalidInput(`end_before_start`)."""
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    roll_up(context, end_ms=end_ms)
    start_ms, end_ms = floor_to(start_ms, MS_PER_HOUR), ceil_to(end_ms, MS_PER_HOUR)
    with reading(context.engine) as connection:
        read = _read(context, connection, principal, start_ms, end_ms)
    return _inventory(read)


def _read(
    context: Context, connection: Connection, principal: Principal, start_ms: int, end_ms: int
) -> _Read:
    team = None if principal.sees_all_teams else principal.team
    own = None if team is None else [id_ for id_, _ in workload_names(connection, team)]
    hours = device_hours(connection, start_ms, end_ms, own)
    ids = sorted({hour.device_id for hour in hours})
    book = factor_book(connection)
    devices = devices_by_id(connection, ids)
    held: dict[int, int] = defaultdict(int)
    for hour in hours:
        held[hour.device_id] += hour.reserved_ms
    embodied_ng = sum(
        charge.embodied_ng
        for id_, reserved_ms in held.items()
        for charge in embodied_charges(book, id_, devices[id_], reserved_ms, start_ms, end_ms)
    )
    return _Read(
        start_ms,
        end_ms,
        hours,
        places_at(connection, ids, start_ms, context.settings.zone),
        embodied_ng / NG_PER_G,
        contracts_between(connection, start_ms, end_ms),
        book,
    )


def _inventory(read: _Read) -> InventoryAnswer:
    """Facility energy takes the PUE that each device's host has at the window's start."""
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
    it_mj: dict[str, int] = defaultdict(int)
    for hour in read.hours:
        place = read.places[hour.device_id]
        so_far = sums[hour.zone, hour.start_ms]
        so_far[0] += round(hour.energy_mj * place.pue)
        so_far[1] += hour.operational_ng
        it_mj[place.region or hour.zone] += hour.energy_mj
    hours = [HourOfZone(*key, *values) for key, values in sorted(sums.items())]
    grid_cfe = _known(read, FactorKind.CFE, {hour.zone for hour in hours})
    zones = inventory_of(hours, read.contracts, grid_cfe)
    total_mj = sum(zone.energy_mj for zone in zones)
    contracted = sum(zone.market.contracted_share * zone.energy_mj for zone in zones)
    cfe = [zone.cfe_score * zone.energy_mj for zone in zones if zone.cfe_score is not None]
    wue = _known(read, FactorKind.WUE, it_mj)
    facility_mj: dict[str, int] = defaultdict(int)
    for (zone, _), (drawn_mj, _) in sums.items():
        facility_mj[zone] += drawn_mj
    grid_water = _known(read, FactorKind.GRID_WATER, facility_mj)
    off_site, unknown = water_of({at: kwh(mj) for at, mj in facility_mj.items()}, grid_water)
    litres, dry = water_of({where: kwh(mj) for where, mj in it_mj.items()}, wue)
    flags = {"pue_unset"} if any("pue_unset" in p.flags for p in read.places.values()) else set()
    flags |= {"wue_unknown"} if dry else set()
    flags |= {"grid_water_unknown"} if unknown else set()
    flags |= {"grid_cfe_unknown"} if any(zone.zone not in grid_cfe for zone in zones) else set()
    flags |= {"no_residual_mix"} if any(zone.market.grid_share > 0 for zone in zones) else set()
    return InventoryAnswer(
        start=to_rfc3339(read.start_ms),
        end=to_rfc3339(read.end_ms),
        it_energy_kwh=kwh(sum(it_mj.values())),
        energy_kwh=kwh(total_mj),
        location_g=sum(zone.location_g for zone in zones),
        market_g=sum(zone.market.grams for zone in zones),
        embodied_g=read.embodied_g,
        contracted_share=contracted / total_mj if total_mj else 0.0,
        cfe_score=sum(cfe) / total_mj if total_mj else None,
        water_l=litres,
        water_off_site_l=off_site,
        zones=[
            ZoneLine(
                zone.zone,
                kwh(zone.energy_mj),
                zone.location_g,
                zone.market.grams,
                zone.market.contracted_share,
                zone.market.residual_share,
                zone.market.grid_share,
                zone.cfe_score,
            )
            for zone in zones
        ],
        flags=sorted(flags),
    )


def _known(read: _Read, kind: FactorKind, where: Iterable[str]) -> dict[str, float]:
    """The factor of each cloud region or zone for which one holds at the window's start."""
    found = {place: read.book.of_region(kind, place, read.start_ms) for place in where}
    return {place: factor.value for place, factor in found.items() if factor}


def frame(
    context: Context,
    principal: Principal,
    name: str,
    operated: Operated,
    start_ms: int,
    end_ms: int,
) -> FrameAnswer:
    """Raises NotFound(`unknown_frame`) and those of `inventory`."""
    found = FRAMES.get(name)
    if found is None:
        raise NotFound("unknown_frame", f"no frame {name!r}; there are {', '.join(FRAMES)}")
    told = inventory(context, principal, start_ms, end_ms)
    return FrameAnswer(
        found.name,
        found.version,
        str(operated),
        told.start,
        told.end,
        [_line(row, told) for row in found.rows[operated]],
    )


def _line(row: Row, told: InventoryAnswer) -> FrameLine:
    values = {
        Quantity.ENERGY_MWH: told.energy_kwh / 1e3,
        Quantity.LOCATION_T: told.location_g / 1e6,
        Quantity.MARKET_T: told.market_g / 1e6,
        Quantity.EMBODIED_T: told.embodied_g / 1e6,
        Quantity.LOCATION_AND_EMBODIED_T: (told.location_g + told.embodied_g) / 1e6,
        Quantity.CONTRACTED_PERCENT: told.contracted_share * 100,
    }
    return FrameLine(row.code, row.label, values.get(row.quantity), row.unit, row.note)
