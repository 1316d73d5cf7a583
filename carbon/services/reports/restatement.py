"""Restating: what an issued report would say now, and the new report beside the old one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from carbon.domain.factor_book import FactorBook
from carbon.domain.principal import Principal
from carbon.domain.reports import Change, greatest
from carbon.errors import CarbonError, Conflicting, InvalidInput
from carbon.services.context import Context
from carbon.services.reports.reports import own_report, statement_of, store_report, table_behind
from carbon.storage.engine import reading
from carbon.storage.reports import StoredReport, reports_of, successor_of
from carbon.wire.factors import AffectedReport
from carbon.wire.reports import (
    ChangedFigure,
    ChangedLine,
    ReportBody,
    ReportLine,
    RestateAnswer,
    RestateBody,
    Restatement,
    Statement,
)

#: What a reader compares.
_FIGURES = ("operational_g", "embodied_g", "total_g", "count", "sci_g_per_unit")
#: Those whose change is weighed against the materiality.
_WEIGHED = ("total_g", "sci_g_per_unit")
#: Reports that a new factor is tried on.
_MOST_TRIED = 500


def restate_report(
    context: Context, principal: Principal, id_: str, body: RestateBody
) -> RestateAnswer:
    """Computes the report anew and compares; with `commit` issues what it says now.

    Raises NotFound(`unknown_report`), InvalidInput(`missing_reason`) and Conflicting
    (`already_restated`, `nothing_to_restate`).
    """
    with reading(context.engine) as connection:
        old = own_report(connection, principal, id_)
        later = successor_of(connection, id_)
    request, issued = _said(old)
    restated = statement_of(context, principal, request)
    lines = _changed_lines(issued, restated)
    change, notice = _weighed(issued, restated)
    shown = change if math.isfinite(change) else None
    new = None
    if body.commit:
        _check(old, later, lines, body)
        told = Restatement(body.reason, shown, notice, list(request.recipients), request.webhook)
        table = table_behind(context, principal, request, restated)
        new = store_report(context, principal, request, restated, table, old.id, told)
    return RestateAnswer(old.id, not body.commit, bool(lines), shown, notice, lines, new)


def affected_by(context: Context, principal: Principal, book: FactorBook) -> list[AffectedReport]:
    """Of the newest reports that hold, those that other factors would change, and by how much."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        found = reports_of(connection, team, _MOST_TRIED)
    replaced = {report.restates for report in found}
    affected = []
    for report in found:
        if report.id in replaced or not report.statement:  # erased with its team
            continue
        request, issued = _said(report)
        try:
            tried = statement_of(context, principal, request, book)
        except CarbonError:  # its workload or readings are gone: nothing to compare with
            continue
        change, notice = _weighed(issued, tried)
        if change:
            size = change if math.isfinite(change) else 1.0
            affected.append(AffectedReport(report.id, issued.start, issued.end, size, notice))
    return affected


def change_today(context: Context, principal: Principal, report: StoredReport) -> float:
    """Greatest relative change that restating would bring; 1.0 where a figure appears or goes."""
    request, issued = _said(report)
    change, _ = _weighed(issued, statement_of(context, principal, request))
    return change if math.isfinite(change) else 1.0


def _said(report: StoredReport) -> tuple[ReportBody, Statement]:
    return (
        msgspec.json.decode(report.request, type=ReportBody),
        msgspec.json.decode(report.statement, type=Statement),
    )


def _check(
    old: StoredReport, later: StoredReport | None, lines: Sequence[ChangedLine], body: RestateBody
) -> None:
    if later is not None:
        raise Conflicting(
            "already_restated", f"{old.id} is superseded by {later.id}; restate that one"
        )
    if not lines:
        raise Conflicting("nothing_to_restate", f"{old.id} says the same today")
    if not body.reason.strip():
        raise InvalidInput("missing_reason", "say why the report is restated: reason")


def _weighed(issued: Statement, restated: Statement) -> tuple[float, bool]:
    """(greatest change, whether a notice is due)."""
    changes = [
        change
        for old, new in _paired(issued, restated)
        for name, change in _changes(old, new)
        if name in _WEIGHED
    ]
    return greatest(changes), any(change.exceeds(issued.materiality) for change in changes)


def _changed_lines(issued: Statement, restated: Statement) -> list[ChangedLine]:
    found = []
    for old, new in _paired(issued, restated):
        causes = _causes(old, new)
        if causes:
            some = old or new
            assert some is not None
            figures = [
                ChangedFigure(name, change.as_reported, change.restated, change.relative)
                for name, change in _changes(old, new)
            ]
            found.append(ChangedLine(some.answer.workload, some.answer.unit, figures, causes))
    return found


_Pair = tuple[ReportLine | None, ReportLine | None]


def _paired(issued: Statement, restated: Statement) -> list[_Pair]:
    """Lines by workload and unit; a unit may have been added since."""
    old = {(line.answer.workload, line.answer.unit): line for line in issued.lines}
    new = {(line.answer.workload, line.answer.unit): line for line in restated.lines}
    return [(old.get(key), new.get(key)) for key in dict.fromkeys((*old, *new))]


def _changes(old: ReportLine | None, new: ReportLine | None) -> list[tuple[str, Change]]:
    return [
        (
            name,
            Change(
                getattr(old.answer, name) if old else None,
                getattr(new.answer, name) if new else None,
            ),
        )
        for name in _FIGURES
    ]


def _causes(old: ReportLine | None, new: ReportLine | None) -> list[str]:
    if old is None or new is None:
        return ["units"]
    if old.answer.input_hash == new.answer.input_hash and old.embodied == new.embodied:
        return []
    differ = {
        "readings": old.operational != new.operational,
        "reservations": _held(old) != _held(new),
        "factors": old.answer.factors != new.answer.factors,
        "boundary": old.answer.boundary != new.answer.boundary,
        "counts": old.answer.count != new.answer.count,
    }
    return [cause for cause, differs in differ.items() if differs] or ["readings"]


def _held(line: ReportLine) -> dict[str, int]:
    held: dict[str, int] = {}
    for part in line.embodied:
        held[part.device] = held.get(part.device, 0) + part.reserved_ms
    return held
