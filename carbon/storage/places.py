"""Where a device stands at a moment: its zone and PUE, and who says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select

from carbon.domain.yearly import WORLD
from carbon.storage.among import among
from carbon.storage.corrections import undone
from carbon.storage.names import device, device_zone, host, host_period
from carbon.storage.upsert import insert_new

#: Nobody has stated a PUE, and 1.0 is counted.
PUE_UNSET: Final = "pue_unset"


@dataclass(frozen=True, slots=True)
class Place:
    zone: str
    #: 1.0 where nobody has stated one, flagged `pue_unset`.
    pue: float
    flags: tuple[str, ...]
    #: Of a cloud, `aws/eu-west-1`, by the inventory.
    region: str | None = None


def places_at(
    connection: Connection,
    device_ids: Collection[int],
    at_ms: int,
    default_zone: str | None,
) -> dict[int, Place]:
    """The place of each device at a moment."""
    return Places.read(connection, device_ids).at(at_ms, default_zone)


@dataclass(frozen=True, slots=True)
class Places:
    """What is known of where devices stand: read once, asked for any moment."""

    #: Of each device.
    _hosts: Mapping[int, int]
    #: Of each host, those in force at any time.
    _periods: Mapping[int, Sequence[RowMapping]]
    #: Of each device what senders said, in order of time.
    _stated: Mapping[int, Sequence[tuple[int, _Stated]]]

    @classmethod
    def read(cls, connection: Connection, device_ids: Collection[int] | None = None) -> Places:
        """Of some devices, or with None of all."""
        query = select(device.c.id, device.c.host_id)
        if device_ids is not None:
            query = query.where(among(device.c.id, device_ids))
        hosts = {row[0]: row[1] for row in connection.execute(query).all()}
        own_hosts = None if device_ids is None else set(hosts.values())
        return cls(
            hosts, _host_periods(connection, own_hosts), _stated_zones(connection, device_ids)
        )

    def at(self, at_ms: int, default_zone: str | None) -> dict[int, Place]:
        """The place of each device at a moment.

        A correction outweighs what senders state, which outweighs the inventory of hosts, the
        deployment's own zone and, last, a sender's guess.
        """
        in_force = {host: _in_force(own, at_ms) for host, own in self._periods.items()}
        # Devices of a host of which the same is stated stand in the same place.
        known: dict[tuple[int, _Stated | None], Place] = {}
        found = {}
        for device_id, host_id in self._hosts.items():
            key = host_id, _stated_at(self._stated.get(device_id, ()), at_ms)
            if key not in known:
                known[key] = _place(in_force.get(host_id, ()), key[1], default_zone)
            found[device_id] = known[key]
        return found


def place_changes(connection: Connection, start_ms: int, end_ms: int) -> list[int]:
    """In order, the moments in (start, end) at which any device may change its place."""
    p, z = host_period.c, device_zone.c
    moments = {
        at
        for column in (p.start_ms, p.end_ms, z.start_ms)
        for at in connection.scalars(
            select(column).where(column > start_ms, column < end_ms).distinct()
        )
    }
    return sorted(moments)


def zone_of_host(
    connection: Connection, host_name: str, at_ms: int, default_zone: str | None
) -> str:
    """The zone of most of a host's own devices, as their energy is priced; without any the
    deployment's, else WORLD."""
    of_host = select(device.c.id).join(host).where(host.c.name == host_name)
    places = places_at(connection, connection.scalars(of_host).all(), at_ms, default_zone)
    count = Counter(place.zone for place in places.values())
    if not count:
        return default_zone or WORLD
    return min(count, key=lambda zone: (-count[zone], zone))


@dataclass(frozen=True, slots=True)
class _Stated:
    """What senders say of a device."""

    zone: str
    is_guess: bool


def _place(
    periods: Iterable[RowMapping], stated: _Stated | None, default_zone: str | None
) -> Place:
    corrected = [p for p in periods if p["correction_id"] is not None]
    inventory = [p for p in periods if p["correction_id"] is None]
    guess = stated.zone if stated and stated.is_guess else None
    zone = (
        _last_recorded(corrected, "zone")
        or (stated.zone if stated and not stated.is_guess else None)
        or last_begun(inventory, "zone")
        or default_zone
        or guess
        or WORLD
    )
    pue = _last_recorded(corrected, "pue") or last_begun(inventory, "pue")
    flags = []
    if zone == WORLD:
        flags.append("zone_unknown")
    elif zone == guess:
        flags.append("zone_guessed")
    if pue is None:
        flags.append(PUE_UNSET)
    return Place(zone, pue or 1.0, tuple(flags), last_begun(inventory, "region"))


def last_begun(periods: Iterable[Mapping[str, Any] | RowMapping], field: str) -> Any:
    """Of periods in force, what the one that began last says; of equals the last recorded. A
    move noted late, with its true date, does not undo the moves after it."""
    return _of_last(periods, field, "start_ms", "recorded_ms", "id")


def _last_recorded(periods: Iterable[RowMapping], field: str) -> Any:
    """Of corrections the one that knew most."""
    return _of_last(periods, field, "recorded_ms", "id")


def _of_last(periods: Iterable[Mapping[str, Any] | RowMapping], field: str, *order: str) -> Any:
    known = [p for p in periods if p[field] is not None]
    return max(known, key=lambda p: tuple(p[by] for by in order))[field] if known else None


def _host_periods(
    connection: Connection, host_ids: Collection[int] | None
) -> dict[int, list[RowMapping]]:
    c = host_period.c
    gone = undone(connection)
    query = select(host_period).where(c.correction_id.is_(None) | c.correction_id.not_in(gone))
    if host_ids is not None:
        query = query.where(among(c.host_id, host_ids))
    found: dict[int, list[RowMapping]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["host_id"], []).append(row)
    return found


def _in_force(periods: Iterable[RowMapping], at_ms: int) -> list[RowMapping]:
    return [
        period
        for period in periods
        if period["start_ms"] <= at_ms and (period["end_ms"] is None or period["end_ms"] > at_ms)
    ]


def _stated_zones(
    connection: Connection, device_ids: Collection[int] | None
) -> dict[int, list[tuple[int, _Stated]]]:
    """(from when, what is stated) of each device, in order of time."""
    c = device_zone.c
    query = select(c.device_id, c.start_ms, c.zone, c.is_guess).order_by(c.start_ms)
    if device_ids is not None:
        query = query.where(among(c.device_id, device_ids))
    found: dict[int, list[tuple[int, _Stated]]] = {}
    alike: dict[tuple[str, bool], _Stated] = {}
    for device_id, start_ms, zone, is_guess in connection.execute(query).all():
        stated = alike.setdefault((zone, is_guess), _Stated(zone, is_guess))
        found.setdefault(device_id, []).append((start_ms, stated))
    return found


def _stated_at(stated: Sequence[tuple[int, _Stated]], at_ms: int) -> _Stated | None:
    """The last statement before the moment; before the first one, that first one."""
    found = stated[0][1] if stated else None
    for start_ms, one in stated:
        if start_ms <= at_ms:
            found = one
    return found


def state_zone(
    connection: Connection, device_id: int, zone: str, is_guess: bool, start_ms: int, now_ms: int
) -> bool:
    """Notes a device's zone from a time on, where that says something new; answers whether."""
    held = _stated_at(_stated_zones(connection, [device_id]).get(device_id, ()), start_ms)
    if held == _Stated(zone, is_guess):
        return False
    row = {
        "device_id": device_id,
        "start_ms": start_ms,
        "zone": zone,
        "is_guess": is_guess,
        "recorded_ms": now_ms,
    }
    insert_new(connection, device_zone, [row])
    return True
