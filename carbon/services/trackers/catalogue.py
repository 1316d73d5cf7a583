"""What CodeCarbon's command line configures: an organization is a team of ours, an experiment a
workload; projects group experiments, and their tokens are write-only keys of the team."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

import msgspec
from sqlalchemy import Connection, Row, select

from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import NotFound
from carbon.services.context import Context
from carbon.services.sci.workloads import name_workload
from carbon.services.trackers.experiments import workload_named
from carbon.storage import trackers
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities
from carbon.storage.names import team
from carbon.wire.codecarbon import ExperimentBody, OrganizationBody, ProjectBody, ProjectChange

Json = dict[str, Any]


def organizations(context: Context, principal: Principal) -> list[Json]:
    with reading(context.engine) as connection:
        return [_organization(name) for name in _teams(connection, principal)]


def create_organization(context: Context, principal: Principal, body: OrganizationBody) -> Json:
    """A team of that name. Raises Forbidden(`scope_missing`): a team's key makes no other team."""
    name = workload_named(body.name, "x").team
    if name != principal.team:
        principal.require(Scope.ALL_TEAMS)
    with writing(context.engine) as connection:
        Identities(connection, context.clock.now_ms(), {}).team(name)
    return _organization(name) | {"description": body.description}


def organization(context: Context, principal: Principal, id_: str) -> Json:
    with reading(context.engine) as connection:
        return _organization(_team_of(connection, principal, id_))


def projects(context: Context, principal: Principal, organization_id: str) -> list[Json]:
    with reading(context.engine) as connection:
        name = _team_of(connection, principal, organization_id)
        return [_project(connection, row) for row in trackers.projects_of(connection, name)]


def create_project(context: Context, principal: Principal, body: ProjectBody) -> Json:
    principal.require(Scope.WORKLOADS_WRITE)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        name = _team_of(connection, principal, body.organization_id)
        project_id = str(uuid4())
        trackers.insert_project(
            connection,
            id=project_id,
            team_id=Identities(connection, now_ms, {}).team(name),
            name=body.name,
            description=body.description,
            created_ms=now_ms,
        )
        return _project(connection, _own_project(connection, principal, project_id))


def project(context: Context, principal: Principal, id_: str) -> Json:
    with reading(context.engine) as connection:
        return _project(connection, _own_project(connection, principal, id_))


def project_team(context: Context, principal: Principal, id_: str) -> str:
    with reading(context.engine) as connection:
        return str(_own_project(connection, principal, id_).team)


def change_project(context: Context, principal: Principal, id_: str, change: ProjectChange) -> Json:
    principal.require(Scope.WORKLOADS_WRITE)
    stated = {k: v for k, v in msgspec.structs.asdict(change).items() if v is not None}
    with writing(context.engine) as connection:
        _own_project(connection, principal, id_)
        if stated:
            trackers.change_project(connection, id_, **stated)
        return _project(connection, _own_project(connection, principal, id_))


def delete_project(context: Context, principal: Principal, id_: str) -> None:
    principal.require(Scope.WORKLOADS_WRITE)
    with writing(context.engine) as connection:
        _own_project(connection, principal, id_)
        trackers.delete_project(connection, id_)


def experiments(context: Context, principal: Principal, project_id: str) -> list[Json]:
    with reading(context.engine) as connection:
        owner = _own_project(connection, principal, project_id).team
        rows = trackers.experiments_of(connection, owner, project_id)
    return [_experiment(row) for row in rows]


def create_experiment(context: Context, principal: Principal, body: ExperimentBody) -> Json:
    """Its name is the workload's, which is thereby named."""
    principal.require(Scope.WORKLOADS_WRITE)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        owner = str(_own_project(connection, principal, body.project_id).team)
        name = workload_named(owner, body.name)
        experiment_id = str(uuid4())
        ids = Identities(connection, now_ms, {})
        trackers.insert_experiment(
            connection,
            team_id=ids.team(owner),
            id=experiment_id,
            project_id=body.project_id,
            name=body.name,
            details=msgspec.json.encode(body).decode(),
            workload_id=name_workload(ids, name),
            created_ms=now_ms,
        )
        return _experiment(_own_experiment(connection, principal, experiment_id))


def experiment(context: Context, principal: Principal, id_: str) -> Json:
    with reading(context.engine) as connection:
        return _experiment(_own_experiment(connection, principal, id_))


def _teams(connection: Connection, principal: Principal) -> list[str]:
    if not principal.sees_all_teams:
        return [principal.team]
    return list(connection.scalars(select(team.c.name).order_by(team.c.name)))


def _team_of(connection: Connection, principal: Principal, organization_id: str) -> str:
    for name in _teams(connection, principal):
        if organization_id_of(name) == organization_id:
            return name
    raise NotFound("unknown_organization", f"no organization {organization_id!r}")


def organization_id_of(team_name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"carbon:team:{team_name}"))


def _own_project(connection: Connection, principal: Principal, id_: str) -> Row[Any]:
    own = None if principal.sees_all_teams else principal.team
    for row in trackers.projects_of(connection, own):
        if row.id == id_:
            return row
    raise NotFound("unknown_project", f"no project {id_!r}")


def _own_experiment(connection: Connection, principal: Principal, id_: str) -> Row[Any]:
    own = None if principal.sees_all_teams else principal.team
    found = trackers.experiments_of(connection, own, experiment_id=id_)
    if not found:
        raise NotFound("unknown_experiment", f"no experiment {id_!r}")
    return found[0]


def _organization(name: str) -> Json:
    return {"id": organization_id_of(name), "name": name, "description": f"team {name}"}


def _project(connection: Connection, row: Row[Any]) -> Json:
    known = trackers.experiments_of(connection, row.team, row.id)
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "organization_id": organization_id_of(row.team),
        "experiments": [experiment.id for experiment in known],
        "public": False,
    }


def _experiment(row: Row[Any]) -> Json:
    told: Json = msgspec.json.decode(row.details)
    return {
        "description": "",
        "on_cloud": False,
        "country_name": None,
        "country_iso_code": None,
        "region": None,
        "cloud_provider": None,
        "cloud_region": None,
        **told,
        "id": row.id,
        "name": row.name,
        "project_id": row.project_id,
        "timestamp": to_rfc3339(row.created_ms),
    }
