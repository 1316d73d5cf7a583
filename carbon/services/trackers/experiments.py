"""What a CodeCarbon experiment is here: a workload of the team."""

from __future__ import annotations

import json
import re

from sqlalchemy import Connection

from carbon.domain.tenancy import WorkloadName, parse_workload
from carbon.domain.yearly import zone_named
from carbon.services.context import Context
from carbon.storage import trackers
from carbon.storage.identities import Identities, check_room, find_workload

#: CodeCarbon's own experiment id, which a tracker sends when nobody has configured one.
DEFAULT_EXPERIMENT = "5b0fa12a-3dd7-45bb-9766-cc326314d9f1"


def experiment_workload(
    context: Context,
    ids: Identities,
    team: str,
    experiment_id: str,
    name: WorkloadName | None = None,
    details: str = "{}",
) -> int:
    """The workload of an experiment; one that was made elsewhere is created, to be named."""
    found = trackers.experiments_of(ids.connection, team, experiment_id=experiment_id)
    if found:
        return int(found[0].workload_id)
    workload = name or workload_named(team, _name_of_experiment(experiment_id))
    is_new = find_workload(ids.connection, workload) is None
    workload_id = ids.workload(workload)
    if is_new:
        check_room(ids.connection, context.settings.max_created_names)
        ids.take_created_workloads()
    trackers.insert_experiment(
        ids.connection,
        team_id=ids.team(team),
        id=experiment_id,
        project_id=None,
        name=workload.name,
        details=details,
        workload_id=workload_id,
        created_ms=ids.now_ms,
    )
    return workload_id


def _name_of_experiment(experiment_id: str) -> str:
    is_default = experiment_id == DEFAULT_EXPERIMENT
    return "codecarbon" if is_default else f"experiment-{experiment_id}"


def workload_named(team: str, text: str) -> WorkloadName:
    """The workload that a free name stands for: what no path could carry becomes a dash.

    Raises InvalidInput(`invalid_workload`) where nothing is left.
    """
    return parse_workload(f"{team}/{_plain(text)[:99].rstrip()}", team)


def _plain(text: str) -> str:
    return re.sub(r"[^\w.:@+ -]+", "-", text, flags=re.UNICODE).strip(" -")


def experiment_zone(connection: Connection, team: str, experiment_id: str) -> str | None:
    """The country that an experiment states: a guess, since its trackers may run anywhere."""
    found = trackers.experiments_of(connection, team, experiment_id=experiment_id)
    told = json.loads(found[0].details) if found else {}
    return zone_named(told.get("country_name"))
