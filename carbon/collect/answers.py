"""What the agent answers to a request, of its socket or of the program that it is embedded in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from carbon.collect.protocol import (
    Accepted,
    Failure,
    Flush,
    Flushed,
    Request,
    RunEnd,
    RunStart,
    Units,
)
from carbon.collect.status import status_of
from carbon.wire.energy import UnitBatch

if TYPE_CHECKING:
    from carbon.collect.host_agent import Agent

_LONGEST_FLUSH_S = 60.0


def answer_of(agent: Agent, request: Request) -> msgspec.Struct:
    if isinstance(request, RunStart):
        return agent.recorder.start_run(request.run, request.workload, request.pid, request.reserve)
    if isinstance(request, RunEnd):
        ended = agent.recorder.end_run(request.run)
        return ended or Failure("unknown_run", f"no run {request.run} is registered")
    if isinstance(request, Units):
        if request.units:
            agent.spool.append_units(UnitBatch(request.units))
        return Accepted(len(request.units))
    if isinstance(request, Flush):
        return Flushed(agent.uploader.flush(min(_LONGEST_FLUSH_S, request.timeout_s)))
    return status_of(agent)
