"""Corrections: who a subject was, what a workload is called, where a host stood. Each has a
reason, can be tried without storing it, and is undone by another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.claims import NO_WORKLOAD, SubjectRef
from carbon.domain.counts import counted
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope, WorkloadName
from carbon.domain.units import DERIVED_UNITS
from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.correction_effects import (
    Effect,
    days_anew,
    effect_of_claims,
    effect_of_host,
    touched_reports,
)
from carbon.services.hosts import check_pue
from carbon.services.intensity import stated_zone
from carbon.services.question import known_workload
from carbon.services.rollup import roll_up
from carbon.services.workloads import name_workload, set_named
from carbon.storage import audit, corrections
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
from carbon.storage.engine import reading, writing
from carbon.storage.identities import Identities, find_workload
from carbon.storage.names import FOR_EVER_MS
from carbon.storage.unit_counts import counts_between, units_of
from carbon.wire.corrections import (
    CorrectionAnswer,
    CorrectionBody,
    CorrectionLine,
    CorrectionList,
    CountChange,
    Move,
    UndoBody,
)

CORRECTION_RECORDED = "correction.recorded"


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end) that a correction speaks of; all time where nothing is said."""

    start_ms: int = 0
    end_ms: int = FOR_EVER_MS


class _DryRun(Exception):
    """Rolls the transaction back once the effect is known."""


def correct(
    context: Context, principal: Principal, body: CorrectionBody, period: Period
) -> CorrectionAnswer:
    """Raises InvalidInput (`unknown_correction_kind`, `missing_member`, `mapping_loops`,
    `nothing_to_correct`, `end_before_start`, `unknown_zone`, `pue_below_one`, `unknown_unit`,
    `derived_unit`), NotFound
    (`unknown_subject`, `unknown_workload`, `unknown_host`) and Conflicting(`workload_exists`)."""
    try:
        apply = _KINDS[body.kind]
    except KeyError:
        raise InvalidInput(
            "unknown_correction_kind", f"kind is one of {', '.join(_KINDS)}"
        ) from None
    if period.end_ms <= period.start_ms:
        raise InvalidInput("end_before_start", "end must be later than start")
    _check_scopes(principal, body.kind)
    roll_up(context)

    def make(change: _Change) -> Effect:
        return apply(change, body, period)

    told = msgspec.to_builtins(msgspec.structs.replace(body, dry_run=False))
    told.pop("reason")
    for member in ("workload", "into"):  # as everybody may read it later
        if told.get(member):
            told[member] = str(principal.workload(told[member]))
    return _recorded(context, principal, body.kind, told, body.reason, None, body.dry_run, make)


def undo(context: Context, principal: Principal, id_: int, body: UndoBody) -> CorrectionAnswer:
    """Takes a correction back, by another one that can be undone too.

    Raises NotFound(`unknown_correction`) and Conflicting(`already_undone`).
    """
    roll_up(context)
    with reading(context.engine) as connection:
        row = corrections.find_correction(connection, id_)
        if row is None or not _may_see(connection, principal, row):
            raise NotFound("unknown_correction", f"no correction {id_}")
        if id_ in corrections.undone(connection):
            raise Conflicting("already_undone", f"correction {id_} was undone already")
        source = _origin(connection, row)
    told = msgspec.json.decode(source.body)
    _check_scopes(principal, source.kind)

    def make(change: _Change) -> Effect:
        return _UNDOERS[source.kind](change, told, id_)

    return _recorded(
        context, principal, source.kind, {"undoes": id_}, body.reason, id_, body.dry_run, make
    )


def _check_scopes(principal: Principal, kind: str) -> None:
    principal.require(Scope.WORKLOADS_WRITE)
    if kind == "host":
        principal.require(Scope.HOSTS_WRITE)


def list_corrections(context: Context, principal: Principal) -> CorrectionList:
    """The latest first; a team sees those that name its own workloads."""
    with reading(context.engine) as connection:
        gone = corrections.undone(connection)
        return CorrectionList(
            [
                CorrectionLine(
                    row.id,
                    row.kind,
                    msgspec.json.decode(row.body),
                    row.reason,
                    row.actor,
                    to_rfc3339(row.recorded_ms),
                    row.undoes_id,
                    row.id in gone,
                )
                for row in corrections.all_corrections(connection)
                if _may_see(connection, principal, row)
            ]
        )


@dataclass(frozen=True, slots=True)
class _Change:
    """One correction being recorded, within its transaction."""

    context: Context
    connection: Connection
    principal: Principal
    id: int
    now_ms: int

    def own(self, text: str | None, member: str) -> tuple[int, WorkloadName]:
        name = self.principal.workload(_stated(text, member))
        return known_workload(self.connection, self.principal, name), name

    def effect(self, subjects: Sequence[int], make: Callable[[], None], period: Period) -> Effect:
        """What `make` changes of the claims of some subjects; marks it to be rolled up anew."""
        before = claims_of(self.connection, subjects)
        make()
        after = claims_of(self.connection, subjects)
        return effect_of_claims(
            self.connection, subjects, before, after, period.start_ms, period.end_ms
        )

    def recounted(
        self,
        workload_id: int,
        unit: str,
        unit_id: int,
        period: Period,
        make: Callable[[], None] = lambda: None,
        gone: frozenset[int] | None = None,
    ) -> Effect:
        """What `make` (or an undoing, with what was `gone` before it) changes of a count."""

        def now(gone: frozenset[int] | None) -> int:
            window = (period.start_ms, period.end_ms)
            return counted(counts_between(self.connection, unit_id, *window, gone), *window)

        before = now(gone)
        make()
        name = str(name_of_workload(self.connection, workload_id))
        span_ms = (period.start_ms, period.end_ms)
        counts_as = corrections.counted_as(self.connection, workload_id)
        days_anew(self.connection, self.context.settings.timezone, counts_as, *span_ms)
        change = CountChange(name, unit, before, now(None))
        return Effect([], span_ms, frozenset({name}), [change])


def _recorded(
    context: Context,
    principal: Principal,
    kind: str,
    told: dict[str, Any],
    reason: str,
    undoes: int | None,
    dry_run: bool,
    make: Callable[[_Change], Effect],
) -> CorrectionAnswer:
    if not reason.strip():
        raise InvalidInput("missing_reason", "say why: reason")
    now_ms = context.clock.now_ms()
    answer: CorrectionAnswer | None = None
    try:
        with writing(context.engine) as connection:
            id_ = corrections.insert_correction(
                connection,
                kind=kind,
                body=msgspec.json.encode(told).decode(),
                reason=reason,
                actor=principal.key_id,
                undoes_id=undoes,
                recorded_ms=now_ms,
            )
            effect = make(_Change(context, connection, principal, id_, now_ms))
            answer = _answer(connection, principal, None if dry_run else id_, effect)
            if dry_run:
                raise _DryRun
            audit.append(connection, now_ms, principal.key_id, CORRECTION_RECORDED, str(id_), {})
    except _DryRun:
        pass
    assert answer is not None
    return answer


def _answer(
    connection: Connection, principal: Principal, id_: int | None, effect: Effect
) -> CorrectionAnswer:
    moves = [
        Move(
            _named(connection, move.before),
            _named(connection, move.after),
            move.energy_mj,
            move.operational_g,
        )
        for move in effect.moves
    ]
    reports = touched_reports(connection, principal, effect)
    return CorrectionAnswer(id_, id_ is None, moves, reports, effect.counts)


def _named(connection: Connection, workload: int | str) -> str | None:
    if isinstance(workload, str):
        return workload
    return None if workload == NO_WORKLOAD else str(name_of_workload(connection, workload))


def _stated(text: str | None, member: str) -> str:
    if not text:
        raise InvalidInput("missing_member", f"this kind of correction needs `{member}`")
    return text


# The kinds


def _claim(change: _Change, body: CorrectionBody, period: Period) -> Effect:
    subject = _own_subject(change, _stated(body.subject, "subject"))
    name = change.principal.workload(_stated(body.workload, "workload"))
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


def _own_subject(change: _Change, text: str) -> int:
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


def _merge(change: _Change, body: CorrectionBody, period: Period) -> Effect:
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


def _rename(change: _Change, body: CorrectionBody, period: Period) -> Effect:
    workload_id, old = change.own(body.workload, "workload")
    new = change.principal.workload(_stated(body.into, "into"))
    if new == name_of_workload(change.connection, workload_id):
        raise InvalidInput("nothing_to_correct", f"{old} is called that already")
    holder = find_workload(change.connection, new)
    if holder not in (None, workload_id):
        raise Conflicting("workload_exists", f"{new} exists; merge {old} into it instead")
    return _renamed(change, workload_id, new)


def _renamed(change: _Change, workload_id: int, new: WorkloadName) -> Effect:
    old = name_of_workload(change.connection, workload_id)
    team_id = Identities(change.connection, change.now_ms, {}).team(new.team)
    corrections.rename(change.connection, workload_id, team_id, new.name)
    set_named(change.connection, workload_id)
    return Effect.of_rename(change.connection, workload_id, str(old), str(new))


def _host(change: _Change, body: CorrectionBody, period: Period) -> Effect:
    host_id = host_id_of(change.connection, _stated(body.host, "host"))
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


def _units(change: _Change, body: CorrectionBody, period: Period) -> Effect:
    workload_id, name = change.own(body.workload, "workload")
    unit = _stated(body.unit, "unit")
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


_KINDS: dict[str, Callable[[_Change, CorrectionBody, Period], Effect]] = {
    "claim": _claim,
    "merge": _merge,
    "rename": _rename,
    "host": _host,
    "units": _units,
}


# What takes them back. The correction that undoes stands in the table already, so that claims
# are read as it leaves them; what they were before is read with it left out.


def _undo_claim(change: _Change, told: dict[str, Any], undoes: int) -> Effect:
    found = subject_id_of(change.connection, SubjectRef.parse(told["subject"]))
    assert found is not None
    follow_runs(change.connection, claims_of(change.connection, [found]))
    return _effect_of_undo(change, [found])


def _undo_merge(change: _Change, told: dict[str, Any], undoes: int) -> Effect:
    source_id, target_id = corrections.merged_by(change.connection, _origin_id(change, undoes))
    subjects = subjects_claimed_for(change.connection, source_id)
    effect = _effect_of_undo(change, subjects)
    effect.unsettle(change.connection, change.context.settings.timezone, source_id, target_id)
    _check_loops(change.connection)
    return effect


def _effect_of_undo(change: _Change, subjects: Sequence[int]) -> Effect:
    after = claims_of(change.connection, subjects)
    before = claims_of(
        change.connection, subjects, corrections.undone(change.connection, ignoring=change.id)
    )
    return effect_of_claims(change.connection, subjects, before, after, 0, FOR_EVER_MS)


def _undo_rename(change: _Change, told: dict[str, Any], undoes: int) -> Effect:
    """Back to the name that the undone correction found, wherever it leads by now."""
    is_again = _depth(change.connection, undoes) % 2 == 1
    names = [change.principal.workload(told[key]) for key in ("workload", "into")]
    old, new = names if not is_again else names[::-1]
    workload_id = find_workload(change.connection, new)
    if workload_id is None or name_of_workload(change.connection, workload_id) != new:
        raise Conflicting("renamed_since", f"{new} has another name by now; undo that one first")
    return _renamed(change, workload_id, old)


def _undo_host(change: _Change, told: dict[str, Any], undoes: int) -> Effect:
    host_id = host_id_of(change.connection, told["host"])
    assert host_id is not None
    hot_ms = change.context.hot_from_ms
    return effect_of_host(change.connection, host_id, 0, FOR_EVER_MS, hot_ms)


def _undo_units(change: _Change, told: dict[str, Any], undoes: int) -> Effect:
    origin = _origin_id(change, undoes)
    workload_id, unit_id, start_ms, end_ms = corrected_unit(change.connection, origin)
    gone = corrections.undone(change.connection, ignoring=change.id)
    period = Period(start_ms, end_ms)
    return change.recounted(workload_id, told["unit"], unit_id, period, gone=gone)


_UNDOERS: dict[str, Callable[[_Change, dict[str, Any], int], Effect]] = {
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


def _origin(connection: Connection, row: Any) -> Any:
    """The correction that a chain of undoing began with."""
    while row.undoes_id is not None:
        row = corrections.find_correction(connection, row.undoes_id)
    return row


def _origin_id(change: _Change, id_: int) -> int:
    origin = _origin(change.connection, corrections.find_correction(change.connection, id_))
    return int(origin.id)


def _depth(connection: Connection, id_: int) -> int:
    """0 of a correction itself, 1 of what undoes it, 2 of what undoes that."""
    depth, row = 0, corrections.find_correction(connection, id_)
    while row is not None and row.undoes_id is not None:
        depth, row = depth + 1, corrections.find_correction(connection, row.undoes_id)
    return depth


def _may_see(connection: Connection, principal: Principal, row: Any) -> bool:
    if principal.sees_all_teams:
        return True
    told = msgspec.json.decode(_origin(connection, row).body)
    try:
        return bool(told.get("workload")) and bool(principal.workload(told["workload"]))
    except CarbonError:
        return False
