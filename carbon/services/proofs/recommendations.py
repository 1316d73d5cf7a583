"""Recommendations: what the ledger suggests, what people decided, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.principal import Principal
from carbon.domain.recommendations import (
    REMEDY,
    Finding,
    Kind,
)
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import MS_PER_DAY, MS_PER_HOUR, floor_to
from carbon.errors import InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.proofs.findings import find
from carbon.services.proofs.kept_findings import WINDOW_MS, kept
from carbon.services.rollup.rollup import roll_up
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id, workload_names
from carbon.storage.ledger_rows import DeviceRef, devices_by_id
from carbon.storage.recommendation_marks import add_mark, newest_marks
from carbon.wire.recommendations import (
    FollowUp,
    MarkBody,
    Recommendation,
    RecommendationList,
    SuggestedExperiment,
)

NOT_SEEN: Final = (
    "precision, where no experiment states it (config `precision`): no counter of ours tells it",
    "memory of devices: a parked context is told by its power alone",
    "batch sizes, where no unit named batch is counted",
)


def recommendations(
    context: Context,
    principal: Principal,
    state: str | None = "open",
    window_ms: int = WINDOW_MS,
) -> RecommendationList:
    """Of the last 28 days, greatest saving first; `state` None shows dismissed and adopted, too.

    Raises InvalidInput(`unknown_state`).
    """
    if state not in (None, "open", "dismissed", "adopted"):
        raise InvalidInput("unknown_state", "state is open, dismissed or adopted")
    end_ms = floor_to(context.clock.now_ms(), MS_PER_HOUR)
    made, start_ms, end_ms = _made(context, principal, end_ms - window_ms, end_ms)
    shown = [one for one in made if state in (None, one.state)]
    return RecommendationList(to_rfc3339(start_ms), to_rfc3339(end_ms), shown, list(NOT_SEEN))


def mark_recommendation(
    context: Context, principal: Principal, id_: str, body: MarkBody
) -> Recommendation:
    """Dismisses, adopts or opens again. Raises NotFound(`unknown_recommendation`)."""
    end_ms = floor_to(context.clock.now_ms(), MS_PER_HOUR)
    made, _, _ = _made(context, principal, end_ms - WINDOW_MS, end_ms)
    found = next((one for one in made if one.id == id_), None)
    if found is None:
        raise NotFound("unknown_recommendation", f"no recommendation {id_!r}")
    name = principal.workload(found.workload)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        names = {str(known): key for key, known in workload_names(connection, name.team)}
        add_mark(
            connection,
            recommendation=id_,
            team_id=team_id(connection, name.team, now_ms),
            workload_id=names[found.workload],
            kind=found.kind,
            state=body.state,
            reason=body.reason,
            g_per_day=found.saving_g * MS_PER_DAY / WINDOW_MS,
            marked_ms=now_ms,
            actor=principal.key_id,
        )
    made, _, _ = _made(context, principal, end_ms - WINDOW_MS, end_ms)
    return next(one for one in made if one.id == id_)


def _made(
    context: Context, principal: Principal, start_ms: int, end_ms: int
) -> tuple[list[Recommendation], int, int]:
    """With start and end of the window that they are of: a large fleet's are made once an hour."""
    roll_up(context, end_ms=end_ms)
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        names = dict(workload_names(connection, team))
        marks = newest_marks(connection)
        known = kept(connection, end_ms) if end_ms - start_ms == WINDOW_MS else None
        if known is None:
            found: Sequence[Finding] = find(connection, list(names), start_ms, end_ms)
        else:
            every, start_ms, end_ms = known
            found = [one for one in every if one.workload_id in names]
        devices = devices_by_id(connection, sorted({one.device_id for one in found}))
        made = [_answer(one, names, devices, marks) for one in found]
        made += _vanished(connection, names, marks, {one.id for one in made})
        followed = [_followed(connection, names, one, marks, end_ms) for one in made]
    return followed, start_ms, end_ms


def _answer(
    found: Finding,
    names: Mapping[int, WorkloadName],
    devices: Mapping[int, DeviceRef],
    marks: Mapping[str, Mapping[str, Any]],
) -> Recommendation:
    workload = str(names[found.workload_id])
    device = devices[found.device_id].uuid if found.device_id else None
    id_ = found.key(workload)
    mark = marks.get(id_, {})
    saving = found.saving_g
    return Recommendation(
        id_,
        found.kind,
        workload,
        device,
        saving.value,
        saving.low,
        saving.high,
        dict(found.evidence),
        found.technique,
        SuggestedExperiment(found.technique, REMEDY[found.kind][1]),
        mark.get("state", "open"),
        mark.get("reason", ""),
        None,
    )


def _vanished(
    connection: Connection,
    names: Mapping[int, WorkloadName],
    marks: Mapping[str, Mapping[str, Any]],
    seen: set[str],
) -> list[Recommendation]:
    """Adopted ones whose waste is no longer found: the remedy worked, and that is shown."""
    gone = [
        (id_, mark)
        for id_, mark in marks.items()
        if mark["state"] == "adopted" and id_ not in seen and mark["workload_id"] in names
    ]
    return [
        Recommendation(
            id_,
            mark["kind"],
            str(names[mark["workload_id"]]),
            None,
            0.0,
            0.0,
            0.0,
            {},
            REMEDY[Kind(mark["kind"])][0],
            SuggestedExperiment(*REMEDY[Kind(mark["kind"])]),
            "adopted",
            mark["reason"],
            None,
        )
        for id_, mark in gone
    ]


def _followed(
    connection: Connection,
    names: Mapping[int, WorkloadName],
    one: Recommendation,
    marks: Mapping[str, Mapping[str, Any]],
    end_ms: int,
) -> Recommendation:
    """With what was measured since it was adopted."""
    if one.state != "adopted":
        return one
    mark = marks[one.id]
    since_ms = floor_to(mark["marked_ms"] + MS_PER_HOUR, MS_PER_HOUR)
    after = None
    if end_ms - since_ms >= MS_PER_DAY:
        own = {key: name for key, name in names.items() if str(name) == one.workload}
        found = find(connection, list(own), since_ms, end_ms)
        devices = devices_by_id(connection, sorted({one.device_id for one in found}))
        still = [_answer(f, own, devices, {}) for f in found]
        waste_g = sum(again.saving_g for again in still if again.id == one.id)
        after = waste_g * MS_PER_DAY / (end_ms - since_ms)
    follow_up = FollowUp(to_rfc3339(mark["marked_ms"]), mark["g_per_day"], after)
    return msgspec.structs.replace(one, follow_up=follow_up)
