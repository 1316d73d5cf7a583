"""What a workload's SCI includes and leaves out, and why."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, select

from carbon.storage.names import boundary, workload

#: Holds until somebody states another: what the agent can see, and what it cannot.
DEFAULT_INCLUDED = ("gpu", "cpu", "dram")
DEFAULT_EXCLUDED = (
    {"component": "network", "reason": "not metered"},
    {"component": "storage", "reason": "not metered"},
    {"component": "end_user_devices", "reason": "not metered"},
)


def boundary_of(connection: Connection, workload_id: int) -> dict[str, Any]:
    """`{version, persona, included, excluded}`; version 0 is the default one."""
    persona = connection.scalar(select(workload.c.persona).where(workload.c.id == workload_id))
    b = boundary.c
    latest = connection.execute(
        select(b.version, b.included, b.excluded)
        .where(b.workload_id == workload_id)
        .order_by(b.version.desc())
        .limit(1)
    ).one_or_none()
    if latest is None:
        version, included, excluded = 0, list(DEFAULT_INCLUDED), list(DEFAULT_EXCLUDED)
    else:
        version = latest.version
        included = msgspec.json.decode(latest.included)
        excluded = msgspec.json.decode(latest.excluded)
    return {"version": version, "persona": persona, "included": included, "excluded": excluded}
