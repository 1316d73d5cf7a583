"""Reports: issued once, immutable, and read as they were issued."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256

import msgspec
from msgspec import UNSET
from sqlalchemy import Connection

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.energy import Method
from carbon.domain.factor_book import FactorBook
from carbon.domain.principal import Principal
from carbon.domain.reports import METHOD, GapPolicy, Mark, marks_of, policies
from carbon.domain.sci import score
from carbon.domain.units import DERIVED_UNITS
from carbon.errors import InvalidInput, NotFound
from carbon.exports import quarter_table
from carbon.services.audit import REPORT_ISSUED, report_hash, statement_hash, table_hash
from carbon.services.context import Context
from carbon.services.reports.closing import check_reportable
from carbon.services.reports.table import report_table, sums_to
from carbon.services.sci.counting import RUN
from carbon.services.sci.question import Question, known_workload
from carbon.services.sci.sci import Account, workload_account
from carbon.services.sci.simulation import DRAWS, SEED
from carbon.storage import reports as stored
from carbon.storage.audit import append, entry_of
from carbon.storage.engine import reading, writing
from carbon.storage.identities import team_id
from carbon.storage.notices import Channel, insert_notices, notices_of
from carbon.storage.report_tables import insert_report_table
from carbon.storage.unit_counts import units_of
from carbon.wire.answer import SciAnswer
from carbon.wire.reports import (
    EmbodiedPart,
    NoticeAnswer,
    OperationalPart,
    ReportAnswer,
    ReportBody,
    ReportLine,
    ReportList,
    ReportSummary,
    Restatement,
    Simulated,
    Statement,
)

#: Of stating and reading the table behind it, while readings of the window arrive.
_TRIES = 3


def issue_report(context: Context, principal: Principal, body: ReportBody) -> ReportAnswer:
    """Computes, stores and chains a report.

    Raises InvalidInput (`no_workload`, `end_before_start`, `invalid_time`, `no_data` where a
    workload has no reading in the window), NotFound(`unknown_workload`) and
    Conflicting(`period_closed`).
    """
    request = _resolved(context, principal, body)
    window = _moment(request.start, "start"), _moment(request.end, "end")
    with reading(context.engine) as connection:
        check_reportable(connection, _team_of(principal, request), *window)
    statement, table = _stated(context, principal, request)
    return store_report(context, principal, request, statement, table)


def _stated(
    context: Context, principal: Principal, request: ReportBody
) -> tuple[Statement, bytes | None]:
    """The statement and the table that it was summed from, of one state of the ledger."""
    for _ in range(_TRIES):
        statement = statement_of(context, principal, request)
        table = table_behind(context, principal, request, statement)
        if table is not None:
            break
    return statement, table


def table_behind(
    context: Context, principal: Principal, request: ReportBody, statement: Statement
) -> bytes | None:
    """The table that a statement was summed from, to be kept with it; None where readings that
    came meanwhile have changed the ledger."""
    rows = report_table(context, principal, request, statement)
    return quarter_table.write(rows) if sums_to(rows, statement) else None


def read_report(context: Context, principal: Principal, id_: str) -> ReportAnswer:
    """Raises NotFound(`unknown_report`), for another team's too."""
    with reading(context.engine) as connection:
        return report_answer(connection, own_report(connection, principal, id_))


def own_report(connection: Connection, principal: Principal, id_: str) -> stored.StoredReport:
    found = stored.find_report(connection, id_)
    if found is None or not (principal.sees_all_teams or found.team == principal.team):
        raise NotFound("unknown_report", f"no report {id_!r}")
    if not found.statement:
        raise NotFound("report_erased", f"{id_} was erased with its team; its hash is in the log")
    return found


def list_reports(
    context: Context, principal: Principal, limit: int, after: str | None
) -> ReportList:
    """Newest first."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        last = own_report(connection, principal, after) if after else None
        before = (last.issued_ms, last.id) if last else None
        found = stored.reports_of(connection, team, limit, before)
    shown = [
        ReportSummary(r.id, r.title, r.team, to_rfc3339(r.issued_ms), r.statement_hash, r.restates)
        for r in found
    ]
    return ReportList(shown, found[-1].id if len(found) == limit else None)


def _resolved(context: Context, principal: Principal, body: ReportBody) -> ReportBody:
    """The request with full names and all units said, as a restatement will ask it again."""
    names = [*([body.workload] if body.workload else []), *body.workloads]
    if not names:
        raise InvalidInput("no_workload", "state the workload, or workloads")
    full = [str(principal.workload(name)) for name in dict.fromkeys(names)]
    start_ms, end_ms = _moment(body.start, "start"), _moment(body.end, "end")
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must lie after start")
    return msgspec.structs.replace(
        body,
        start=to_rfc3339(start_ms),
        end=to_rfc3339(end_ms),
        workload=None,
        workloads=list(dict.fromkeys(full)),
        unit=None,
        units=list(dict.fromkeys([*([body.unit] if body.unit else []), *body.units])),
    )


def _moment(text: str, name: str) -> int:
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        raise InvalidInput(
            "invalid_time", f"{name}: write RFC 3339 with an offset, such as 2026-01-31T08:00:00Z"
        ) from None


def statement_of(
    context: Context, principal: Principal, request: ReportBody, book: FactorBook | None = None
) -> Statement:
    """What a resolved request states from the ledger as it is; `book` tries other factors."""
    lines = [
        _line(workload_account(context, principal, question, book), request)
        for name in request.workloads
        for question in _questions(context, principal, name, request)
    ]
    marks = {mark for line in lines for mark in line.marks}
    if _moment(request.end, "end") > context.clock.now_ms():
        marks.add(Mark.WINDOW_OPEN)
    return Statement(
        METHOD,
        request.start,
        request.end,
        policies(request.gaps, request.idle, request.host_parts),
        request.materiality,
        request.coverage_floor,
        sorted(marks),
        lines,
        _joint_hash([line.answer.input_hash for line in lines]),
    )


def _questions(
    context: Context, principal: Principal, name: str, request: ReportBody
) -> list[Question]:
    units = request.units
    if not units:
        with reading(context.engine) as connection:
            workload_id = known_workload(connection, principal, principal.workload(name))
            units = list(units_of(connection, workload_id)) or [RUN]
    start_ms, end_ms = _moment(request.start, "start"), _moment(request.end, "end")
    fill = request.gaps is GapPolicy.FILL
    return [
        Question(
            name,
            start_ms,
            end_ms,
            unit,
            fill_gaps=fill,
            idle=request.idle,
            host_parts=request.host_parts,
        )
        for unit in units
    ]


def _joint_hash(hashes: Sequence[str]) -> str:
    return f"sha256:{sha256(msgspec.json.encode(list(hashes))).hexdigest()}"


def _line(account: Account, request: ReportBody) -> ReportLine:
    answer = account.answer
    if not account.rows:
        raise InvalidInput(
            "no_data",
            f"{answer.workload} has no reading between {answer.start} and {answer.end}",
        )
    marks = marks_of(
        answer.coverage,
        request.coverage_floor,
        answer.count_set_aside,
        answer.measured_g,
        answer.operational_g,
        answer.boundary["excluded"],
        _lacks_basis(answer),
        _lacks_server(account),
    )
    return ReportLine(
        answer,
        _simulated(account),
        _operational(account),
        _embodied(account),
        [str(mark) for mark in marks],
    )


def _lacks_basis(answer: SciAnswer) -> bool:
    """SCI for AI asks a provider to say whether its own units count all that was done."""
    if answer.boundary["persona"] != "provider" or answer.unit in DERIVED_UNITS:
        return False
    return answer.unit_meaning is UNSET or answer.unit_meaning.basis is None


def _lacks_server(account: Account) -> bool:
    """Whether a GPU is charged for its making and nothing for the server around it."""
    held = {int(charge.device) for charge in account.embodied if not charge.server}
    around = {int(charge.device) for charge in account.embodied if charge.server}
    kinds = {account.devices[device].kind for device in held - around}
    return "gpu" in kinds and "server" not in {one.kind for one in account.devices.values()}


def _simulated(account: Account) -> Simulated:
    """How the answer's bounds were drawn, beside those of the first order."""
    answer = account.answer
    if answer.sci_g_per_unit is None:
        return Simulated(0, SEED, None, None)
    exact = score(account.charges, account.embodied, answer.count)
    return Simulated(DRAWS, SEED, exact.low, exact.high)


def _operational(account: Account) -> list[OperationalPart]:
    """Rows of the window by device, method and price; subjects summed."""
    sums: dict[tuple[int, int, int], list[int]] = {}
    for row in account.rows:
        so_far = sums.setdefault((row.device_id, row.method, row.rating_id), [0, 0, 0])
        for place, value in enumerate((row.energy_mj, row.covered_ms, row.operational_ng)):
            so_far[place] += value
    parts = []
    for (device_id, method, rating_id), (energy_mj, covered_ms, ng) in sums.items():
        device, rating = account.devices[device_id], account.ratings[rating_id]
        parts.append(
            OperationalPart(
                device=device.uuid,
                kind=device.kind,
                model=device.model,
                method=Method(method).label,
                zone=rating.zone,
                source=rating.source,
                signal=rating.signal,
                scope=rating.scope,
                intensity_kind=rating.kind,
                energy_mj=energy_mj,
                covered_ms=covered_ms,
                operational_ng=ng,
            )
        )
    return sorted(parts, key=lambda p: (p.device, p.method, p.zone, p.source, p.intensity_kind))


def _embodied(account: Account) -> list[EmbodiedPart]:
    parts = []
    for charge in account.embodied:
        device = account.devices[int(charge.device)]
        parts.append(
            EmbodiedPart(
                device=device.uuid,
                kind="server" if charge.server else device.kind,
                model=charge.server or device.model,
                factor=charge.factor.id,
                total_g=charge.factor.total_g,
                lifespan=charge.lifespan.id,
                lifespan_ms=charge.lifespan.duration_ms,
                reserved_ms=charge.reserved_ms,
                embodied_ng=charge.embodied_ng,
                past_life=charge.past_life,
                shared_by=charge.shared_by,
            )
        )
    return sorted(
        parts, key=lambda part: (part.device, part.kind, part.factor, part.lifespan, part.past_life)
    )


def store_report(
    context: Context,
    principal: Principal,
    request: ReportBody,
    statement: Statement,
    table: bytes | None,
    restates: str | None = None,
    restatement: Restatement | None = None,
) -> ReportAnswer:
    text = msgspec.json.encode(statement, order="sorted")
    now_ms = context.clock.now_ms()
    team = _team_of(principal, request)
    made = stored.StoredReport(
        id=f"rep_{secrets.token_hex(8)}",
        team=team,
        issued_ms=now_ms,
        actor=principal.key_id,
        title=request.title,
        request=msgspec.json.encode(request, order="sorted").decode(),
        statement=text.decode(),
        statement_hash=statement_hash(text),
        input_hash=statement.input_hash,
        restates=restates,
        restatement=msgspec.json.encode(restatement, order="sorted").decode()
        if restatement
        else None,
        salt=secrets.token_hex(32),
    )
    with writing(context.engine) as connection:
        own_team_id = team_id(connection, team, now_ms)
        stored.insert_report(connection, own_team_id, made)
        body = {"hash": report_hash(made), "restates": restates}
        if table is not None:
            insert_report_table(connection, own_team_id, made.id, table)
            body["table"] = table_hash(made.salt, table)
        append(connection, now_ms, principal.key_id, REPORT_ISSUED, made.id, body)
        if restatement and restatement.notice:
            insert_notices(connection, own_team_id, made.id, _to_tell(request), now_ms)
        return report_answer(connection, made)


def _to_tell(request: ReportBody) -> list[tuple[Channel, str]]:
    """Whom the report names, each once."""
    webhook = [(Channel.WEBHOOK, request.webhook)] if request.webhook else []
    return [*webhook, *((Channel.MAIL, to) for to in dict.fromkeys(request.recipients))]


def _team_of(principal: Principal, request: ReportBody) -> str:
    """Of the workloads, where they are of one team; else the issuer's."""
    teams = {name.partition("/")[0] for name in request.workloads}
    return teams.pop() if len(teams) == 1 else principal.team


def report_answer(connection: Connection, report: stored.StoredReport) -> ReportAnswer:
    entry = entry_of(connection, REPORT_ISSUED, report.id)
    later = stored.successor_of(connection, report.id)
    of_later = restatement_of(later) if later else None
    return ReportAnswer(
        id=report.id,
        title=report.title,
        team=report.team,
        issued_at=to_rfc3339(report.issued_ms),
        issued_by=report.actor,
        statement_hash=report.statement_hash,
        audit_entry=entry.id if entry else 0,
        audit_hash=entry.hash.hex() if entry else "",
        restates=report.restates,
        restatement=restatement_of(report),
        superseded_by=later.id if later else None,
        notice=of_later.reason if of_later and of_later.notice else None,
        notices=_notices(connection, (later or report).id),
        statement=msgspec.Raw(report.statement.encode()),
    )


def _notices(connection: Connection, restatement_id: str) -> list[NoticeAnswer]:
    return [
        NoticeAnswer(
            str(one.channel), one.target, str(one.state), to_rfc3339(one.changed_ms), one.detail
        )
        for one in notices_of(connection, restatement_id)
    ]


def restatement_of(report: stored.StoredReport) -> Restatement | None:
    if report.restatement is None:
        return None
    return msgspec.json.decode(report.restatement, type=Restatement)
