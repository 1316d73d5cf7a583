"""Corrections: who a subject was, what a workload is called, where a host stood. Each has a
reason, can be tried without storing it, and is undone by another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.claims import NO_WORKLOAD
from carbon.domain.principal import Principal
from carbon.domain.tenancy import Scope
from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.fleet.correction_change import Change, Period, origin_of
from carbon.services.fleet.correction_effects import (
    Effect,
    touched_reports,
)
from carbon.services.fleet.correction_kinds import KINDS, UNDOERS
from carbon.services.rollup.rollup import roll_up
from carbon.storage import audit, corrections
from carbon.storage.correction_rows import (
    name_of_workload,
)
from carbon.storage.engine import reading, writing
from carbon.wire.corrections import (
    CorrectionAnswer,
    CorrectionBody,
    CorrectionLine,
    CorrectionList,
    Move,
    UndoBody,
)

CORRECTION_RECORDED = "correction.recorded"


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
        apply = KINDS[body.kind]
    except KeyError:
        raise InvalidInput(
            "unknown_correction_kind", f"kind is one of {', '.join(KINDS)}"
        ) from None
    if period.end_ms <= period.start_ms:
        raise InvalidInput("end_before_start", "end must be later than start")
    _check_scopes(principal, body.kind)
    body = _in_its_team(principal, body)
    roll_up(context)

    def make(change: Change) -> Effect:
        return apply(change, body, period)

    told = msgspec.to_builtins(msgspec.structs.replace(body, dry_run=False))
    told.pop("reason")
    for member in ("workload", "into"):  # as everybody may read it later
        if told.get(member):
            told[member] = str(principal.workload(told[member]))
    return _recorded(context, principal, body.kind, told, body.reason, None, body.dry_run, make)


def _in_its_team(principal: Principal, body: CorrectionBody) -> CorrectionBody:
    """A bare new name is one of the team of the old, whoever asks."""
    if body.kind != "rename" or not body.workload or not body.into or "/" in body.into:
        return body
    team = principal.workload(body.workload).team
    return msgspec.structs.replace(body, into=f"{team}/{body.into}")


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
        source = origin_of(connection, row)
    told = msgspec.json.decode(source.body)
    _check_scopes(principal, source.kind)

    def make(change: Change) -> Effect:
        return UNDOERS[source.kind](change, told, id_)

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


def _recorded(
    context: Context,
    principal: Principal,
    kind: str,
    told: dict[str, Any],
    reason: str,
    undoes: int | None,
    dry_run: bool,
    make: Callable[[Change], Effect],
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
            effect = make(Change(context, connection, principal, id_, now_ms))
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


def _may_see(connection: Connection, principal: Principal, row: Any) -> bool:
    if principal.sees_all_teams:
        return True
    told = msgspec.json.decode(origin_of(connection, row).body)
    try:
        return bool(told.get("workload")) and bool(principal.workload(told["workload"]))
    except CarbonError:
        return False
