"""How the agent is doing, as its socket tells it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from carbon.collect.protocol import DevicePower, RefusedBatch, Status

if TYPE_CHECKING:
    from carbon.collect.host_agent import Agent

_REFUSED_SHOWN = 20


def status_of(agent: Agent) -> Status:
    identity, uploader, server = agent.recorder.identity, agent.uploader, agent.server()
    return Status(
        pid=os.getpid(),
        role=agent.role.value,
        source=identity.source,
        boot_id=identity.boot_id,
        host=identity.host,
        zone=identity.zone,
        zone_is_guess=identity.zone_is_guess,
        at_ms=agent.recorder.now_ms(),
        devices=_devices(agent),
        runs=[run.run for run in agent.recorder.runs.active],
        sources=[source.name for source in agent.sampler.sources],
        faults=_faults(agent),
        spool_depth=agent.spool.depth,
        last_seq=agent.spool.last_seq,
        refused=[RefusedBatch(*row) for row in agent.spool.refused[-_REFUSED_SHOWN:]],
        last_upload_ms=uploader.last_upload_ms,
        last_upload_error=uploader.last_error,
        server=server.url if server else None,
    )


def _faults(agent: Agent) -> list[str]:
    """What was found, and last what is wrong now."""
    found = [f"{f.kind} of {f.device}: {f.detail}" for f in list(agent.sampler.faults)]
    return found + [f"{name} fails: {why}" for name, why in agent.sampler.failing.items()]


def _devices(agent: Agent) -> list[DevicePower]:
    """Those that were read at least once; the others show in the faults."""
    powers = agent.recorder.attributor.powers
    return [
        DevicePower(
            device=uuid,
            kind=device.kind.value,
            model=device.model,
            method=power.method.label,
            watts=power.watts,
            subjects=dict(power.by_subject),
            workloads=dict(power.workloads),
            limit_watts=None if device.power_limit_mw is None else device.power_limit_mw / 1000,
        )
        for uuid, device in list(agent.sampler.devices.items())
        if (power := powers.get(uuid)) is not None
    ]
