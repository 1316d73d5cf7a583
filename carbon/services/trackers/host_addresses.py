"""Which host sends from which address: how a tracker that names no host is known to run on one
that our agent meters already."""

from __future__ import annotations

import re
from functools import lru_cache

import psutil
from sqlalchemy import Connection, select

from carbon.domain.energy import MeterKind
from carbon.services.ingest.writer import Writer
from carbon.storage.identities import Identities
from carbon.storage.names import device, device_model, meter, source
from carbon.storage.trackers import host_address
from carbon.storage.upsert import insert_new, set_rows

_LOOPBACK = "127.0.0.1"


class HostAddresses:
    """Notes the address of each agent once; costs a look into a set afterwards."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._noted: set[tuple[str, str]] = set()

    def note(self, host: str, client: str) -> None:
        seen = (host, plain_address(client))
        if seen in self._noted:
            return
        self._noted.add(seen)

        def write(ids: Identities) -> None:
            row = {
                "address": seen[1],
                "host_id": ids.host(host),
                "is_declared": 0,
                "recorded_ms": ids.now_ms,
            }
            insert_new(ids.connection, host_address, [row])

        self._writer.submit(write)


def declare_address(connection: Connection, host_id: int, address: str, now_ms: int) -> None:
    """A person says that the trackers at an address run on a host."""
    row = {
        "address": plain_address(address),
        "host_id": host_id,
        "is_declared": 1,
        "recorded_ms": now_ms,
    }
    set_rows(connection, host_address, [row])


def declared_addresses(connection: Connection) -> dict[int, list[str]]:
    """By host, what people said."""
    h = host_address.c
    query = select(h.host_id, h.address).where(h.is_declared == 1).order_by(h.address)
    found: dict[int, list[str]] = {}
    for host_id, address in connection.execute(query):
        found.setdefault(host_id, []).append(address)
    return found


def host_of_tracker(connection: Connection, address: str, cpu_model: str) -> int | None:
    """The one host behind an address: declared, else with an agent and the same CPU model."""
    h = host_address.c
    found = connection.execute(select(h.host_id, h.is_declared).where(h.address == address)).all()
    declared = [host_id for host_id, is_declared in found if is_declared]
    alike = [
        host_id
        for host_id, _ in found
        if _same_model(cpu_model, agent_models(connection, host_id, "cpu"))
    ]
    candidates = declared or alike
    return candidates[0] if len(candidates) == 1 else None


def agent_devices(connection: Connection, host_id: int, kind: str) -> dict[int, str]:
    """Model by id of the devices of a kind that an agent meters on a host."""
    query = (
        select(device.c.id, device_model.c.model)
        .join(device_model, device_model.c.id == device.c.model_id)
        .join(meter, meter.c.device_id == device.c.id)
        .join(source, source.c.id == meter.c.source_id)
        .where(
            device.c.host_id == host_id,
            device_model.c.kind == kind,
            source.c.kind == int(MeterKind.AGENT),
        )
        .distinct()
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def agent_models(connection: Connection, host_id: int, kind: str) -> set[str]:
    return set(agent_devices(connection, host_id, kind).values())


def _same_model(one: str, others: set[str]) -> bool:
    sought = _plain_model(one)
    return bool(sought) and any(_plain_model(other) == sought for other in others)


def _plain_model(model: str) -> str:
    """Tools write the same CPU with other blanks and marks: `Intel(R) Xeon(R)`, `Intel Xeon`."""
    return re.sub(r"\((r|tm|c)\)|[^a-z0-9]+", " ", model.lower()).replace(" ", "")


def plain_address(client: str) -> str:
    """This machine is one address, whichever of its own a client came by."""
    if client.startswith("::ffff:"):
        client = client.removeprefix("::ffff:")
    return _LOOPBACK if client in _own_addresses() else client


@lru_cache(maxsize=1)
def _own_addresses() -> frozenset[str]:
    known = psutil.net_if_addrs().values()
    return frozenset({"::1", *(part.address for addresses in known for part in addresses)})
