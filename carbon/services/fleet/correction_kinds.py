"""What each kind of correction does, and what takes it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from carbon.domain.claims import SubjectRef
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import DERIVED_UNITS
from carbon.errors import Conflicting, InvalidInput, NotFound
from carbon.services.fleet.correction_change import Change, Period, origin_of, stated
from carbon.services.fleet.correction_effects import (
    Effect,
    effect_of_claims,
    effect_of_host,
)
from carbon.services.fleet.hosts import check_pue
from carbon.services.grid.intensity import stated_zone
from carbon.services.sci.workloads import name_workload, set_named
from carbon.storage import corrections
from carbon.storage.attributed import claims_of
from carbon.storage.correction_rows import (
    add_claim,
    add_host_period,
    add_merge,
    add_unit_correction,
    corrected_unit,
    follow_runs,
    host_id_of,
    name_of_workload,
    subject_id_of,
    subjects_claimed_for,
    units_into,
)
from carbon.storage.identities import Identities, find_workload
from carbon.storage.names import FOR_EVER_MS
from carbon.storage.unit_counts import units_of
from carbon.wire.corrections import (
    CorrectionBody,
)


def _claim(change: Change, body: CorrectionBody, period: Period) -> Effect:
    subject = _own_subject(change, stated(body.subject, "subject"))
    name = change.principal.workload(stated(body.workload, "workload"))
    found = find_workload(change.connection, name)
    ids = Identities(change.connection, change.now_ms, {})
    workload_id = name_workload(ids, name) if found is None else found

    def add() -> None:
        add_claim(
            change.connection,
            subject_id=subject,
            workload_id=workload_id,
            start_ms=period.start_ms,
            end_ms=period.end_ms,
            reason=body.reason,
            correction_id=change.id,
            recorded_ms=change.now_ms,
        )
        follow_runs(change.connection, claims_of(change.connection, [subject]))

    return change.effect([subject], add, period)


def _own_subject(change: Change, text: str) -> int:
    """Raises NotFound(`unknown_subject`), also for what another team's workload was."""
    try:
        ref = SubjectRef.parse(text)
    except ValueError:
        raise InvalidInput("invalid_subject", f"{text!r} is no subject") from None
    if ref.kind.is_nobody:
        raise InvalidInput("invalid_subject", f"{text!r} is nobody in particular")
    found = subject_id_of(change.connection, ref)
    if found is not None and not change.principal.sees_all_teams:
        claimed = {c.workload for c in claims_of(change.connection, [found]).get(found, ())}
        teams = {name_of_workload(change.connection, w).team for w in claimed}
        if teams != {change.principal.team}:
            found = None
    if found is None:
        raise NotFound("unknown_subject", f"nothing was ever seen of {text!r}")
    return found


def _merge(change: Change, body: CorrectionBody, period: Period) -> Effect:
    source_id, source = change.own(body.workload, "workload")
    target_id, target = change.own(body.into, "into")
    if period != Period():
        raise InvalidInput("invalid_period", "a merge is for all time; claim subjects for a period")
    if source_id == target_id:
        raise InvalidInput(
            "mapping_loops", f"{source} counts as {target} already: the mapping would loop"
        )
    subjects = subjects_claimed_for(change.connection, source_id)

    def add() -> None:
        add_merge(change.connection, change.id, source_id, target_id)
        set_named(change.connection, source_id)
        units_into(Identities(change.connection, change.now_ms, {}), source_id, target_id)

    effect = change.effect(subjects, add, period)
    effect.unsettle(change.connection, change.context.settings.timezone, source_id, target_id)
    return effect


def _rename(change: Change, body: CorrectionBody, period: Period) -> Effect:
    workload_id, old = change.own(body.workload, "workload")
    new = change.principal.workload(stated(body.into, "into"))
    if new == name_of_workload(change.connection, workload_id):
        raise InvalidInput("nothing_to_correct", f"{old} is called that already")
    holder = find_workload(change.connection, new)
    if holder not in (None, workload_id):
        raise Conflicting("workload_exists", f"{new} exists; merge {old} into it instead")
    return _renamed(change, workload_id, new)


def _renamed(change: Change, workload_id: int, new: WorkloadName) -> Effect:
    old = name_of_workload(change.connection, workload_id)
    team_id = Identities(change.connection, change.now_ms, {}).team(new.team)
    corrections.rename(change.connection, workload_id, team_id, new.name)
    set_named(change.connection, workload_id)
    return Effect.of_rename(change.connection, workload_id, str(old), str(new))


def _host(change: Change, body: CorrectionBody, period: Period) -> Effect:
    host_id = host_id_of(change.connection, stated(body.host, "host"))
    if host_id is None:
        raise NotFound("unknown_host", f"no host {body.host!r}")
    if body.zone is None and body.pue is None:
        raise InvalidInput("missing_member", "say the `zone` or the `pue` that it had")
    check_pue(body.pue)
    zone = stated_zone(change.connection, body.zone) if body.zone else None
    add_host_period(
        change.connection,
        host_id=host_id,
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        zone=zone,
        pue=body.pue,
        correction_id=change.id,
        recorded_ms=change.now_ms,
    )
    hot_ms = change.context.hot_from_ms
    return effect_of_host(change.connection, host_id, period.start_ms, period.end_ms, hot_ms)


def _units(change: Change, body: CorrectionBody, period: Period) -> Effect:
    workload_id, name = change.own(body.workload, "workload")
    unit = stated(body.unit, "unit")
    if body.count is None or not body.start or not body.end:
        raise InvalidInput("missing_member", "say the `count` and its time: `start`, `end`")
    if unit in DERIVED_UNITS:
        raise InvalidInput("derived_unit", f"{unit!r} is counted by the ledger itself")
    known = units_of(change.connection, workload_id)
    if unit not in known:
        told = ", ".join(known) or "none of its own"
        raise InvalidInput("unknown_unit", f"{name} has no unit {unit!r}; it has {told}")

    def add() -> None:
        add_unit_correction(
            change.connection,
            correction_id=change.id,
            unit_id=known[unit],
            start_ms=period.start_ms,
            end_ms=period.end_ms,
            count=body.count,
        )

    return change.recounted(workload_id, unit, known[unit], period, add)


KINDS: dict[str, Callable[[Change, CorrectionBody, Period], Effect]] = {
    "claim": _claim,
    "merge": _merge,
    "rename": _rename,
    "host": _host,
    "units": _units,
}


# What takes them back. The correction that undoes stands in the table already, so that claims
# are read as it leaves them; what they were before is read with it left out.


def _undo_claim(change: Change, told: dict[str, Any], undoes: int) -> Effect:
    found = subject_id_of(change.connection, SubjectRef.parse(told["subject"]))
    assert found is not None
    follow_runs(change.connection, claims_of(change.connection, [found]))
    return _effect_of_undo(change, [found])


def _undo_merge(change: Change, told: dict[str, Any], undoes: int) -> Effect:
    source_id, target_id = corrections.merged_by(change.connection, _origin_id(change, undoes))
    subjects = subjects_claimed_for(change.connection, source_id)
    effect = _effect_of_undo(change, subjects)
    effect.unsettle(change.connection, change.context.settings.timezone, source_id, target_id)
    _check_loops(change.connection)
    return effect


def _effect_of_undo(change: Change, subjects: Sequence[int]) -> Effect:
    after = claims_of(change.connection, subjects)
    before = claims_of(
        change.connection, subjects, corrections.undone(change.connection, ignoring=change.id)
    )
    return effect_of_claims(change.connection, subjects, before, after, 0, FOR_EVER_MS)


def _undo_rename(change: Change, told: dict[str, Any], undoes: int) -> Effect:
    """Back to the name that the undone correction found, wherever it leads by now."""
    is_again = _depth(change.connection, undoes) % 2 == 1
    names = [change.principal.workload(told[key]) for key in ("workload", "into")]
    old, new = names if not is_again else names[::-1]
    workload_id = find_workload(change.connection, new)
    if workload_id is None or name_of_workload(change.connection, workload_id) != new:
        raise Conflicting("renamed_since", f"{new} has another name by now; undo that one first")
    return _renamed(change, workload_id, old)


def _undo_host(change: Change, told: dict[str, Any], undoes: int) -> Effect:
    host_id = host_id_of(change.connection, told["host"])
    assert host_id is not None
    hot_ms = change.context.hot_from_ms
    return effect_of_host(change.connection, host_id, 0, FOR_EVER_MS, hot_ms)


def _undo_units(change: Change, told: dict[str, Any], undoes: int) -> Effect:
    origin = _origin_id(change, undoes)
    workload_id, unit_id, start_ms, end_ms = corrected_unit(change.connection, origin)
    gone = corrections.undone(change.connection, ignoring=change.id)
    period = Period(start_ms, end_ms)
    return change.recounted(workload_id, told["unit"], unit_id, period, gone=gone)


UNDOERS: dict[str, Callable[[Change, dict[str, Any], int], Effect]] = {
    "claim": _undo_claim,
    "merge": _undo_merge,
    "rename": _undo_rename,
    "host": _undo_host,
    "units": _undo_units,
}


def _check_loops(connection: Connection) -> None:
    """Merges that were undone may come back when others lead the other way by now."""
    if corrections.loops(connection):
        raise InvalidInput("mapping_loops", "workloads would count as each other in a circle")


def _origin_id(change: Change, id_: int) -> int:
    origin = origin_of(change.connection, corrections.find_correction(change.connection, id_))
    return int(origin.id)


def _depth(connection: Connection, id_: int) -> int:
    """0 of a correction itself, 1 of what undoes it, 2 of what undoes that."""
    depth, row = 0, corrections.find_correction(connection, id_)
    while row is not None and row.undoes_id is not None:
        depth, row = depth + 1, corrections.find_correction(connection, row.undoes_id)
    return depth
