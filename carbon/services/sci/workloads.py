"""Workloads: created, read, changed."""

from __future__ import annotations

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection, func, select, update

from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.errors import Conflicting, InvalidInput
from carbon.services.context import Context
from carbon.services.sci.boundary import boundary_of
from carbon.services.sci.counting import DEVICE_HOUR, RUN
from carbon.services.sci.question import known_workload
from carbon.services.sci.unit_definitions import meanings_of, set_units
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities, find_workload, workload_names
from carbon.storage.names import boundary, workload
from carbon.storage.unit_counts import units_of
from carbon.wire.workloads import BoundaryBody, WorkloadAnswer, WorkloadBody, WorkloadChange

PERSONAS = ("consumer", "provider")


def create_workload(context: Context, principal: Principal, body: WorkloadBody) -> WorkloadAnswer:
    """Raises Conflicting(`workload_exists`) for one that a person has named already; one that a
    write created is named by this."""
    name = principal.workload(body.name)
    _check_persona(body.persona)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        if _is_named(connection, name):
            raise Conflicting("workload_exists", f"{name} exists; change it with PATCH")
        ids = Identities(connection, now_ms, {})
        workload_id = name_workload(ids, name)
        _set(connection, workload_id, persona=body.persona)
        set_units(ids, workload_id, body.units)
        if body.boundary is not None:
            _add_boundary(connection, workload_id, body.boundary, now_ms)
        return _read(connection, workload_id, name)


def list_workloads(context: Context, principal: Principal) -> list[WorkloadAnswer]:
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        return [_read(connection, key, name) for key, name in workload_names(connection, team)]


def unnamed_workloads(context: Context, principal: Principal) -> tuple[list[WorkloadAnswer], int]:
    """(those that a write created and nobody has named, how many others are known)."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        known = workload_names(connection, team)
        named = set(connection.scalars(select(workload.c.id).where(workload.c.is_named)))
        waiting = [_read(connection, key, name) for key, name in known if key not in named]
    return waiting, len(known) - len(waiting)


def get_workload(context: Context, principal: Principal, text: str) -> WorkloadAnswer:
    name = principal.workload(text)
    with reading(context.engine) as connection:
        return _read(connection, known_workload(connection, principal, name), name)


def change_workload(
    context: Context, principal: Principal, text: str, change: WorkloadChange
) -> WorkloadAnswer:
    """Sets what is given; a boundary becomes a new version, units are added."""
    name = principal.workload(text)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        workload_id = known_workload(connection, principal, name)
        _set(connection, workload_id, is_named=True)
        if change.persona is not UNSET:
            _check_persona(change.persona)
            _set(connection, workload_id, persona=change.persona)
        if change.units is not UNSET:
            set_units(Identities(connection, now_ms, {}), workload_id, change.units)
        if change.boundary is not UNSET:
            _add_boundary(connection, workload_id, change.boundary, now_ms)
        return _read(connection, workload_id, name)


def _check_persona(persona: str) -> None:
    if persona not in PERSONAS:
        raise InvalidInput("invalid_persona", f"persona is {' or '.join(PERSONAS)}")


def name_workload(ids: Identities, name: WorkloadName) -> int:
    """The workload of a name that a person gave."""
    workload_id = ids.workload(name, is_named=True)
    set_named(ids.connection, workload_id)
    return workload_id


def set_named(connection: Connection, workload_id: int) -> None:
    """A person has said what it is."""
    _set(connection, workload_id, is_named=True)


def _is_named(connection: Connection, name: WorkloadName) -> bool:
    workload_id = find_workload(connection, name)
    query = select(workload.c.is_named).where(workload.c.id == workload_id)
    return workload_id is not None and bool(connection.scalar(query))


def _set(connection: Connection, workload_id: int, **values: object) -> None:
    connection.execute(update(workload).where(workload.c.id == workload_id).values(**values))


def _add_boundary(
    connection: Connection, workload_id: int, body: BoundaryBody, now_ms: int
) -> None:
    b = boundary.c
    last = connection.scalar(select(func.max(b.version)).where(b.workload_id == workload_id))
    connection.execute(
        boundary.insert().values(
            workload_id=workload_id,
            version=(last or 0) + 1,
            included=msgspec.json.encode(body.included).decode(),
            excluded=msgspec.json.encode(body.excluded).decode(),
            recorded_ms=now_ms,
        )
    )


def _read(connection: Connection, workload_id: int, name: WorkloadName) -> WorkloadAnswer:
    row = connection.execute(select(workload).where(workload.c.id == workload_id)).one()
    return WorkloadAnswer(
        name=str(name),
        persona=row.persona,
        units=[*units_of(connection, workload_id), RUN, DEVICE_HOUR],
        unit_meanings=meanings_of(connection, workload_id),
        boundary=boundary_of(connection, workload_id),
        is_named=bool(row.is_named),
        created=to_rfc3339(row.created_ms),
    )
