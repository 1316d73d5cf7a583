"""What stands in one host together: its GPUs, and the parts that serve them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from carbon.storage.names import device, device_model

_GPU: Final = "gpu"
#: Kinds that serve whoever holds the GPUs.
_PARTS: Final = ("cpu", "dram")


@dataclass(frozen=True, slots=True)
class HostDevices:
    host_of: dict[int, int]
    gpus: frozenset[int]
    parts: frozenset[int]


def devices_beside(connection: Connection, device_ids: Collection[int]) -> HostDevices:
    """GPUs, CPUs and DRAM of every host in which any of the devices stands."""
    hosts = select(device.c.host_id).where(device.c.id.in_(device_ids))
    query = (
        select(device.c.id, device.c.host_id, device_model.c.kind)
        .join_from(device, device_model)
        .where(device.c.host_id.in_(hosts), device_model.c.kind.in_((_GPU, *_PARTS)))
    )
    rows = connection.execute(query).all()
    return HostDevices(
        {row[0]: row[1] for row in rows},
        frozenset(row[0] for row in rows if row[2] == _GPU),
        frozenset(row[0] for row in rows if row[2] in _PARTS),
    )


def host_parts(connection: Connection) -> set[int]:
    """Every CPU and DRAM of the fleet."""
    query = select(device.c.id).join_from(device, device_model)
    return set(connection.scalars(query.where(device_model.c.kind.in_(_PARTS))))
