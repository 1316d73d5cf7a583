"""Everything that an issued report rests on, gathered for an auditor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from sqlalchemy import Connection

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.energy import Method
from carbon.domain.principal import Principal
from carbon.domain.reports import GapPolicy
from carbon.domain.units import QUARTER_MS, ceil_to, floor_to
from carbon.exports.audit_pack import AuditPack, ChainEntry, TableRow
from carbon.exports.issued import Contact, Issued
from carbon.services.audit import report_hash, report_record
from carbon.services.context import Context
from carbon.services.counting import DEVICE_HOUR
from carbon.services.factors import factor_answer
from carbon.services.question import Question
from carbon.services.reports import own_report, report_answer
from carbon.services.sci import Account, workload_account
from carbon.storage import audit
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import find_workload
from carbon.storage.ledger_rows import LedgerRow
from carbon.storage.quarters import quarters_between
from carbon.wire.factors import FactorAnswer
from carbon.wire.reports import ReportBody, Statement


def audit_pack(
    context: Context, principal: Principal, id_: str, contact: Contact | None = None
) -> AuditPack:
    """Raises NotFound(`unknown_report`). Where the ledger has moved on since the report was
    issued, the table no longer sums to it, and the pack's own verifier says so."""
    with reading(context.engine) as connection:
        report = own_report(connection, principal, id_)
        issued = Issued.of(report_answer(connection, report), contact)
        chain = [_chain_entry(entry) for entry in audit.entries(connection)]
        factors = _factors(connection, issued.statement)
    request = msgspec.json.decode(report.request, type=ReportBody)
    names = dict.fromkeys(line.answer.workload for line in issued.statement.lines)
    rows = [row for name in names for row in _table(context, principal, name, request)]
    return AuditPack(
        issued, report_record(report), report_hash(report), report.salt, factors, rows, chain
    )


def _chain_entry(entry: audit.Entry) -> ChainEntry:
    return ChainEntry(entry.id, entry.previous_hash.hex(), entry.told.decode(), entry.hash.hex())


def _factors(connection: Connection, statement: Statement) -> list[FactorAnswer]:
    book = factor_book(connection)
    used = {factor.id for line in statement.lines for factor in line.answer.factors}
    return [factor_answer(book, book.find(id_)) for id_ in sorted(used)]


def _table(
    context: Context, principal: Principal, name: str, request: ReportBody
) -> Iterator[TableRow]:
    """Whole quarter-hours one by one; what lies at the edges, and what was filled, as one row
    each for its span."""
    start_ms, end_ms = from_rfc3339(request.start), from_rfc3339(request.end)
    first, last = ceil_to(start_ms, QUARTER_MS), floor_to(end_ms, QUARTER_MS)

    def account(lo: int, hi: int) -> Account:
        fill = (lo, hi) == (start_ms, end_ms) and request.gaps is GapPolicy.FILL
        question = Question(
            name,
            lo,
            hi,
            DEVICE_HOUR,
            fill_gaps=fill,
            idle=request.idle,
            host_parts=request.host_parts,
        )
        return workload_account(context, principal, question)

    whole = account(start_ms, end_ms)
    if first >= last:
        yield from _rows(name, whole, whole.rows, start_ms, end_ms)
        return
    for lo, hi in ((start_ms, first), (last, end_ms)):
        if lo < hi:
            edge = account(lo, hi)
            yield from _rows(name, edge, edge.metered, lo, hi)
    yield from _rows(name, whole, whole.added, start_ms, end_ms)
    yield from _quarters(context, principal, name, whole, first, last)


def _quarters(
    context: Context, principal: Principal, name: str, whole: Account, first: int, last: int
) -> Iterator[TableRow]:
    with reading(context.engine) as connection:
        workload_id = find_workload(connection, principal.workload(name))
        found = quarters_between(connection, list(whole.devices), first, last, workload_id)
    for q in found:
        row = LedgerRow(
            q.device_id,
            q.subject_id,
            q.method,
            q.rating_id,
            q.energy_mj,
            q.operational_ng,
            q.covered_ms,
            q.reserved_ms,
        )
        yield from _rows(name, whole, [row], q.start_ms, q.start_ms + QUARTER_MS)


def _rows(
    name: str, account: Account, rows: Iterable[LedgerRow], start_ms: int, end_ms: int
) -> Iterator[TableRow]:
    start, end = to_rfc3339(start_ms), to_rfc3339(end_ms)
    for row in rows:
        rating = account.ratings[row.rating_id]
        yield TableRow(
            name,
            start,
            end,
            account.devices[row.device_id].uuid,
            Method(row.method).label,
            rating.zone,
            rating.source,
            rating.signal,
            rating.scope,
            rating.kind,
            row.energy_mj,
            row.operational_ng,
            row.covered_ms,
            row.reserved_ms,
        )
