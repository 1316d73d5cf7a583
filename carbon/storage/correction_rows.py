"""The rows that corrections add, and what they look up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from carbon.domain.claims import NO_WORKLOAD, Claim, SubjectRef, workload_of
from carbon.domain.tenancy import WorkloadName
from carbon.storage.corrections import members, unit_correction, workload_merge
from carbon.storage.identities import Identities
from carbon.storage.names import (
    claim,
    host,
    host_period,
    run,
    subject,
    team,
    workload,
    workload_unit,
)


def add_claim(connection: Connection, **values: Any) -> None:
    connection.execute(claim.insert().values(**values))


def add_host_period(connection: Connection, **values: Any) -> None:
    connection.execute(host_period.insert().values(**values))


def add_merge(connection: Connection, correction_id: int, from_id: int, into_id: int) -> None:
    row = {"correction_id": correction_id, "from_id": from_id, "into_id": into_id}
    connection.execute(workload_merge.insert().values(**row))


def add_unit_correction(connection: Connection, **values: Any) -> None:
    connection.execute(unit_correction.insert().values(**values))


def corrected_unit(connection: Connection, correction_id: int) -> tuple[int, int, int, int]:
    """(workload_id, unit_id, start_ms, end_ms) of a count that was replaced."""
    u = unit_correction.c
    query = (
        select(workload_unit.c.workload_id, u.unit_id, u.start_ms, u.end_ms)
        .join(workload_unit, workload_unit.c.id == u.unit_id)
        .where(u.correction_id == correction_id)
    )
    row = connection.execute(query).one()
    return row[0], row[1], row[2], row[3]


def units_into(ids: Identities, from_id: int, into_id: int) -> None:
    """The target has every unit of what is merged into it."""
    u = workload_unit.c
    for name in ids.connection.scalars(select(u.name).where(u.workload_id == from_id)).all():
        ids.unit(into_id, name)


def subjects_claimed_for(connection: Connection, workload_id: int) -> list[int]:
    """Subjects that any claim ever gave to a workload, or to one that was merged into it."""
    own = members(connection, workload_id)
    query = select(claim.c.subject_id).where(claim.c.workload_id.in_(own)).distinct()
    return list(connection.scalars(query))


def follow_runs(connection: Connection, claims: Mapping[int, Sequence[Claim]]) -> None:
    """Runs are counted for whom their subjects' claims name."""
    r = run.c
    of_subjects = select(r.id, r.subject_id, r.start_ms).where(r.subject_id.in_(list(claims)))
    for id_, subject_id, start_ms in connection.execute(of_subjects).all():
        named = workload_of(claims[subject_id], start_ms)
        if named != NO_WORKLOAD:
            connection.execute(update(run).where(r.id == id_).values(workload_id=named))


def subject_id_of(connection: Connection, ref: SubjectRef) -> int | None:
    s = subject.c
    return connection.scalar(select(s.id).where(s.kind == str(ref.kind), s.key == ref.key))


def host_id_of(connection: Connection, name: str) -> int | None:
    return connection.scalar(select(host.c.id).where(host.c.name == name))


def name_of_workload(connection: Connection, workload_id: int) -> WorkloadName:
    query = select(team.c.name, workload.c.name).join_from(workload, team)
    row = connection.execute(query.where(workload.c.id == workload_id)).one()
    return WorkloadName(row[0], row[1])
