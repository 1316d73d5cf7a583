"""What is asked of a workload: which one, over which window, in which unit."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from sqlalchemy import Connection, select

from carbon.domain.intensity import EmissionScope, Signal
from carbon.domain.principal import Principal
from carbon.domain.reports import HostPolicy, IdlePolicy
from carbon.domain.tenancy import WorkloadName
from carbon.errors import InvalidInput, NotFound
from carbon.storage.corrections import members
from carbon.storage.identities import find_workload, workload_names
from carbon.storage.ledger_rows import life_of
from carbon.storage.names import run


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; None takes the default: the whole recorded life, the only unit."""

    workload: str
    start_ms: int | None = None
    end_ms: int | None = None
    unit: str | None = None
    run: str | None = None
    #: With either given, the window is re-rated with just that signal and scope.
    signal: Signal | None = None
    scope: EmissionScope | None = None
    #: Fill quarter-hours that should have been read and were not, as `estimated`.
    fill_gaps: bool = False
    idle: IdlePolicy = IdlePolicy.RESERVER
    host_parts: HostPolicy = HostPolicy.ENERGY

    @property
    def is_rerated(self) -> bool:
        return self.signal is not None or self.scope is not None


def known_workload(connection: Connection, principal: Principal, name: WorkloadName) -> int:
    """Raises NotFound(`unknown_workload`) with the near names that this principal may see."""
    found = find_workload(connection, name)
    if found is not None:
        return found
    team = None if principal.sees_all_teams else principal.team
    seen = [
        str(n) if principal.sees_all_teams and n.team != principal.team else n.name
        for _, n in workload_names(connection, team)
    ]
    near = get_close_matches(name.name, seen, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise NotFound("unknown_workload", f"no workload {name}{hint}", near=near)


def span_of_run(
    connection: Connection, workload_id: int, name: WorkloadName, run_id: str | None
) -> tuple[int | None, tuple[int, int] | None]:
    if run_id is None:
        return None, None
    key = f"{name.team}/{run_id}"
    query = select(run).where(
        run.c.id == key, run.c.workload_id.in_(members(connection, workload_id))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("unknown_run", f"{name} has no run {run_id!r}")
    return row.subject_id, (row.start_ms, row.end_ms)


def window_of(
    connection: Connection,
    workload_id: int,
    question: Question,
    run_span: tuple[int, int] | None,
    now_ms: int,
) -> tuple[int, int]:
    """What is asked, else the run's span or the workload's recorded life up to now."""
    first, last = run_span or life_of(connection, workload_id) or (0, 0)
    start_ms = first if question.start_ms is None else question.start_ms
    end_ms = max(min(last, now_ms), start_ms) if question.end_ms is None else question.end_ms
    if end_ms < start_ms:
        raise InvalidInput("end_before_start", "end must not lie before start")
    return start_ms, end_ms
