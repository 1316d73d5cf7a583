"""The server around a host's devices: whose making is shared among its GPUs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, select

from carbon.storage.among import among
from carbon.storage.names import device, device_model, host_period
from carbon.storage.places import last_begun

_SERVER: Final = "server"
_GPUS: Final = ("gpu", "module")
#: Parts that a server's footprint holds: with it stated they have none of their own.
_INSIDE: Final = ("cpu", "dram")


@dataclass(frozen=True, slots=True)
class ServerShare:
    """What a device carries of its server."""

    model: str  #: as people stated it
    #: Among how many devices it is divided; 0 where this one carries none of it.
    shared_by: int
    #: Whether the server's footprint holds this device's own.
    is_inside: bool


def server_shares(connection: Connection, device_ids: Collection[int]) -> dict[int, ServerShare]:
    """Of the devices in hosts whose server somebody stated and no meter sees: a host's GPUs share
    it, and where there are none, its CPUs."""
    stated = _stated(connection, device_ids)
    beside: dict[int, list[tuple[int, str]]] = defaultdict(list)
    if stated:
        query = select(device.c.id, device.c.host_id, device_model.c.kind).join_from(
            device, device_model
        )
        for id_, host_id, kind in connection.execute(query.where(device.c.host_id.in_(stated))):
            beside[host_id].append((id_, kind))
    found: dict[int, ServerShare] = {}
    for host_id, own in beside.items():
        model, gpus = stated[host_id]
        found |= _shares(model, gpus, own)
    asked = set(device_ids)
    return {id_: share for id_, share in found.items() if id_ in asked}


def _stated(connection: Connection, device_ids: Collection[int]) -> Mapping[int, tuple[str, int]]:
    """Host -> (server, how many GPUs it has; 0 where nobody said)."""
    p = host_period.c
    hosts = select(device.c.host_id).where(among(device.c.id, device_ids))
    query = select(host_period).where(p.host_id.in_(hosts), p.correction_id.is_(None))
    periods: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(query.where(p.server.is_not(None) | p.gpus.is_not(None))):
        periods[row.host_id].append(row._mapping)
    found = {}
    for host_id, own in periods.items():
        server = last_begun(own, "server")
        if server is not None:
            found[host_id] = server, last_begun(own, "gpus") or 0
    return found


def _shares(model: str, gpus: int, devices: Iterable[tuple[int, str]]) -> Mapping[int, ServerShare]:
    kinds = dict(devices)
    if _SERVER in kinds.values():  # it is a device itself, and charged as one
        return {}
    carriers = [id_ for id_, kind in kinds.items() if kind in _GPUS]
    if not carriers and not gpus:
        carriers = [id_ for id_, kind in kinds.items() if kind == _INSIDE[0]]
    whole = max(gpus, len(carriers))
    return {
        id_: ServerShare(model, whole if id_ in carriers else 0, kind in _INSIDE)
        for id_, kind in kinds.items()
        if id_ in carriers or kind in _INSIDE
    }
