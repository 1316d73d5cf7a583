"""Two issued reports side by side: what each states, and how the later differs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from carbon.domain.principal import Principal
from carbon.services.context import Context
from carbon.services.reports.reports import read_report
from carbon.wire.answer import SciAnswer
from carbon.wire.reports import ReportAnswer, Statement


class ReportSide(Struct, frozen=True):
    id: str
    title: str
    start: str
    end: str
    issued_at: str


class ComparedLine(Struct, frozen=True):
    """A workload in one unit; `a` or `b` is null where that report does not state it."""

    workload: str
    unit: str
    a: SciAnswer | None
    b: SciAnswer | None
    #: b against a; null where either has none, or a is 0.
    sci_change: float | None
    total_change: float | None


class ReportComparison(Struct, frozen=True):
    a: ReportSide
    b: ReportSide
    lines: list[ComparedLine]


def compare_reports(context: Context, principal: Principal, a: str, b: str) -> ReportComparison:
    """Raises NotFound(`unknown_report`), for another team's too."""
    (one, first), (two, second) = (_stated(context, principal, id_) for id_ in (a, b))
    return ReportComparison(
        _side(one, first),
        _side(two, second),
        [_line(key, _lines(first), _lines(second)) for key in _lines(first) | _lines(second)],
    )


def _stated(context: Context, principal: Principal, id_: str) -> tuple[ReportAnswer, Statement]:
    report = read_report(context, principal, id_)
    return report, msgspec.json.decode(report.statement, type=Statement)


def _side(report: ReportAnswer, statement: Statement) -> ReportSide:
    title = report.title or report.id
    return ReportSide(report.id, title, statement.start, statement.end, report.issued_at)


_Lines = Mapping[tuple[str, str], SciAnswer]


def _lines(statement: Statement) -> dict[tuple[str, str], SciAnswer]:
    return {(line.answer.workload, line.answer.unit): line.answer for line in statement.lines}


def _line(key: tuple[str, str], first: _Lines, second: _Lines) -> ComparedLine:
    a, b = first.get(key), second.get(key)
    if a is None or b is None:
        return ComparedLine(*key, a, b, None, None)
    sci_change = _change(a.sci_g_per_unit, b.sci_g_per_unit)
    return ComparedLine(*key, a, b, sci_change, _change(a.total_g, b.total_g))


def _change(before: float | None, now: float | None) -> float | None:
    return now / before - 1 if before and now is not None else None
