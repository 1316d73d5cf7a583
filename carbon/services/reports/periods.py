"""Closing a period: its reports are complete, hold today, and somebody signs for them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.principal import Principal
from carbon.errors import CarbonError, Conflicting, InvalidInput
from carbon.services.audit import PERIOD_CLOSED, period_hash
from carbon.services.context import Context
from carbon.services.fleet.hosts import list_hosts
from carbon.services.reports.closing import check_open
from carbon.services.reports.restatement import change_today
from carbon.services.rollup.rollup import roll_up
from carbon.storage.active_workloads import workloads_between
from carbon.storage.audit import append
from carbon.storage.closed_periods import StoredPeriod, insert_period, periods_of
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id
from carbon.storage.reports import StoredReport, reports_of
from carbon.wire.periods import ClosedPeriod, Completeness, PeriodBody, PeriodList, PeriodReport
from carbon.wire.reports import ReportBody, Statement

_MOST_REPORTS = 10_000


def close_period(context: Context, principal: Principal, body: PeriodBody) -> ClosedPeriod:
    """Raises InvalidInput (`invalid_time`, `end_before_start`, `period_not_over`) and Conflicting
    (`period_closed`, where one overlaps; `no_report`; `period_incomplete` and `material_change`,
    unless a statement accepts them)."""
    start_ms, end_ms = _moment(body.start, "start"), _moment(body.end, "end")
    now_ms = context.clock.now_ms()
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    if end_ms > now_ms:
        raise InvalidInput("period_not_over", "a period is closed once it is over")
    roll_up(context, end_ms=end_ms)
    with reading(context.engine) as connection:
        check_open(connection, principal.team, start_ms, end_ms)
        reports = _reports(connection, principal.team, start_ms, end_ms)
        not_reported = _not_reported(connection, principal.team, start_ms, end_ms, reports)
    if not reports:
        raise Conflicting("no_report", "no report of this team lies in the period: issue one first")
    completeness = _completeness(context, start_ms, end_ms, not_reported)
    told = [_told(context, principal, report) for report in reports]
    material = [one.id for one in told if one.change is None or one.change > body.materiality]
    _check(body, completeness, material)
    closed = ClosedPeriod(
        f"per_{secrets.token_hex(8)}",
        principal.team,
        to_rfc3339(start_ms),
        to_rfc3339(end_ms),
        body.signed_by,
        principal.key_id,
        body.statement,
        body.materiality,
        material,
        told,
        completeness,
        to_rfc3339(now_ms),
    )
    return _store(context, closed, start_ms, end_ms, now_ms)


def list_periods(context: Context, principal: Principal) -> PeriodList:
    """In order of time; what was erased is left out."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        found = [period for period in periods_of(connection, team) if period.body]
    return PeriodList([_signed(period.body) for period in found])


def _check(body: PeriodBody, completeness: Completeness, material: Sequence[str]) -> None:
    if body.accept_incomplete and body.statement.strip():
        return
    mend = "; or sign with accept_incomplete and a statement that says why"
    if not completeness.is_complete:
        missing = ", ".join([*completeness.not_reported, *completeness.silent_hosts])
        raise Conflicting("period_incomplete", f"nothing stands here of {missing}{mend}")
    if material:
        raise Conflicting("material_change", f"restate {', '.join(material)} first{mend}")


def _moment(text: str, name: str) -> int:
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "invalid_time", f"{name}: write RFC 3339 with an offset, such as 2026-01-31T08:00:00Z"
        ) from None


def _reports(
    connection: Connection, team: str, start_ms: int, end_ms: int
) -> list[tuple[StoredReport, ReportBody]]:
    """Those whose window lies in the period and that nothing supersedes."""
    found = [report for report in reports_of(connection, team, _MOST_REPORTS) if report.statement]
    replaced = {report.restates for report in found}
    requests = [(r, msgspec.json.decode(r.request, type=ReportBody)) for r in found]
    return [
        (report, request)
        for report, request in requests
        if report.id not in replaced
        and start_ms <= from_rfc3339(request.start)
        and from_rfc3339(request.end) <= end_ms
    ]


def _not_reported(
    connection: Connection,
    team: str,
    start_ms: int,
    end_ms: int,
    reports: Sequence[tuple[StoredReport, ReportBody]],
) -> list[str]:
    told = {
        line.answer.workload
        for report, _ in reports
        for line in msgspec.json.decode(report.statement, type=Statement).lines
    }
    drew = [f"{team}/{name}" for name in workloads_between(connection, team, start_ms, end_ms)]
    return [name for name in drew if name not in told]


def _completeness(
    context: Context, start_ms: int, end_ms: int, not_reported: list[str]
) -> Completeness:
    """Of the hosts that were registered and in service, as `carbon host list` tells it."""
    found = list_hosts(context, start_ms, end_ms)
    due = {host.name: host.completeness for host in found.hosts if host.completeness is not None}
    silent = sorted(name for name, share in due.items() if not share)
    return Completeness(len(due), len(due) - len(silent), found.completeness, silent, not_reported)


def _told(
    context: Context, principal: Principal, found: tuple[StoredReport, ReportBody]
) -> PeriodReport:
    report, _ = found
    try:
        change = change_today(context, principal, report)
    except CarbonError:  # its workload or readings are gone
        change = None
    return PeriodReport(report.id, report.statement_hash, change)


def _store(
    context: Context, closed: ClosedPeriod, start_ms: int, end_ms: int, now_ms: int
) -> ClosedPeriod:
    text = msgspec.json.encode(closed, order="sorted").decode()
    made = StoredPeriod(closed.id, closed.team, start_ms, end_ms, text, closed.key, now_ms)
    signed = _signed(text)
    with writing(context.engine) as connection:
        check_open(connection, closed.team, start_ms, end_ms)
        insert_period(connection, team_id(connection, closed.team, now_ms), made)
        entry = {"hash": signed.hash, "reports": [report.id for report in closed.reports]}
        append(connection, now_ms, closed.key, PERIOD_CLOSED, closed.id, entry)
    return signed


def _signed(text: str) -> ClosedPeriod:
    closed = msgspec.json.decode(text, type=ClosedPeriod)
    return msgspec.structs.replace(closed, hash=period_hash(text))
