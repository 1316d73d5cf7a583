"""Everything that an issued report rests on, gathered for an auditor."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from carbon.domain.principal import Principal
from carbon.exports import quarter_table
from carbon.exports.audit_pack import AuditPack, ChainEntry
from carbon.exports.issued import Contact, Issued
from carbon.services.audit import report_hash, report_record
from carbon.services.context import Context
from carbon.services.reports.reports import own_report, report_answer
from carbon.services.reports.table import report_table
from carbon.services.sci.factors import factor_answer
from carbon.storage import audit
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.report_tables import find_report_table
from carbon.wire.factors import FactorAnswer
from carbon.wire.reports import ReportBody, Statement


def audit_pack(
    context: Context, principal: Principal, id_: str, contact: Contact | None = None
) -> AuditPack:
    """Raises NotFound(`unknown_report`). The table is that of the report's day, so that the pack
    verifies for ever; what was issued before tables were kept gets one of today's ledger, and
    the pack's own verifier says where that no longer sums to the report."""
    with reading(context.engine) as connection:
        report = own_report(connection, principal, id_)
        issued = Issued.of(report_answer(connection, report), contact)
        chain = [_chain_entry(entry) for entry in audit.entries(connection)]
        factors = _factors(connection, issued.statement)
        table = find_report_table(connection, id_)
    is_kept = table is not None
    if table is None:
        request = msgspec.json.decode(report.request, type=ReportBody)
        rows = report_table(context, principal, request, issued.statement)
        table = quarter_table.write(rows)
    record, hash_ = report_record(report), report_hash(report)
    return AuditPack(issued, record, hash_, report.salt, factors, table, is_kept, chain)


def _chain_entry(entry: audit.Entry) -> ChainEntry:
    return ChainEntry(entry.id, entry.previous_hash.hex(), entry.told.decode(), entry.hash.hex())


def _factors(connection: Connection, statement: Statement) -> list[FactorAnswer]:
    book = factor_book(connection)
    used = {factor.id for line in statement.lines for factor in line.answer.factors}
    return [factor_answer(book, book.find(id_)) for id_ in sorted(used)]
