"""Proof that the audit log, and what it recorded, are as they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from hashlib import sha256
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.factor import Factor
from carbon.domain.inventory import Contract
from carbon.services.context import Context
from carbon.storage import audit
from carbon.storage.closed_periods import periods_of
from carbon.storage.contracts import all_contracts
from carbon.storage.engine import reading
from carbon.storage.experiments import StoredExperiment, experiments_of
from carbon.storage.factors import factor_row, factor_rows
from carbon.storage.report_tables import all_report_tables
from carbon.storage.reports import StoredReport, reports_of
from carbon.wire.reports import AuditEntry, AuditFault, AuditPage, AuditProof

REPORT_ISSUED: Final = "report.issued"
FACTOR_RECORDED: Final = "factor.recorded"
CONTRACT_RECORDED: Final = "contract.recorded"
PERIOD_CLOSED: Final = "period.closed"
TEAM_ERASED: Final = "team.erased"
EXPERIMENT_RECORDED: Final = "experiment.recorded"

_MOST_FAULTS: Final = 100
_EVERY_ONE: Final = 1_000_000


def report_hash(report: StoredReport) -> str:
    """Of the report's salt and of all that it says."""
    salted = bytes.fromhex(report.salt) + report_record(report)
    return f"sha256:{sha256(salted).hexdigest()}"


def report_record(report: StoredReport) -> bytes:
    """All that an issued report says; the team's name stays outside, since it may be erased."""
    outside = ("team", "salt")
    told = {f.name: getattr(report, f.name) for f in fields(report) if f.name not in outside}
    return msgspec.json.encode(told, order="sorted")


def experiment_hash(experiment: StoredExperiment) -> str:
    """As of a report; the workload's number means nothing elsewhere."""
    outside = ("team", "workload_id", "salt")
    told = {f.name: getattr(experiment, f.name) for f in fields(experiment)}
    return _hash({name: value for name, value in told.items() if name not in outside})


def factor_hash(factor: Factor) -> str:
    return _hash(factor_row(factor))


def contract_hash(contract: Contract) -> str:
    return _hash(asdict(contract))


def period_hash(body: str) -> str:
    return f"sha256:{sha256(body.encode()).hexdigest()}"


def _hash(told: Mapping[str, Any]) -> str:
    return f"sha256:{sha256(msgspec.json.encode(told, order='sorted')).hexdigest()}"


def audit_page(context: Context, after: int, limit: int) -> AuditPage:
    """Entries after one, oldest first."""
    with reading(context.engine) as connection:
        found = audit.entries_page(connection, after, limit)
    return AuditPage(
        [
            AuditEntry(
                entry.id,
                to_rfc3339(entry.at_ms),
                entry.actor,
                entry.action,
                entry.subject,
                msgspec.Raw(entry.body.encode()),
                entry.hash.hex(),
            )
            for entry in found
        ],
        found[-1].id if len(found) == limit else None,
    )


def verify_audit(context: Context, head: str | None = None) -> AuditProof:
    """Walks the chain and compares every report, its table, factor and experiment with it.

    A log cut off at its end is sound in itself: `head`, a hash noted earlier, proves that it
    still holds what it held then.
    """
    with reading(context.engine) as connection:
        chain = list(audit.entries(connection))
        faults = [*_broken_links(chain), *_changed_records(connection, chain)]
    if head is not None and all(entry.hash.hex() != head for entry in chain):
        faults.append(AuditFault(None, "head_missing", "no entry has the hash that was given"))
    return AuditProof(
        intact=not faults,
        entries=len(chain),
        head=chain[-1].hash.hex() if chain else "",
        faults=faults[:_MOST_FAULTS],
        fault_count=len(faults),
    )


def _broken_links(chain: list[audit.Entry]) -> Iterator[AuditFault]:
    previous = audit.GENESIS
    for entry in chain:
        if entry.previous_hash != previous:
            yield AuditFault(entry.id, "broken_link", "an entry before this one is gone or new")
        if not entry.is_sound:
            yield AuditFault(entry.id, "entry_changed", "the entry is not what its hash covers")
        previous = entry.hash


def _changed_records(connection: Connection, chain: list[audit.Entry]) -> Iterator[AuditFault]:
    reports = {
        report.id: (report_hash(report), _is_sound(report.statement, report.statement_hash))
        for report in reports_of(connection, None, _EVERY_ONE)
    }
    factors = {row["id"]: (_hash(row), True) for row in factor_rows(connection)}
    experiments = {
        one.id: (experiment_hash(one), _is_sound(one.statement, one.statement_hash))
        for one in experiments_of(connection, None, _EVERY_ONE)
    }
    periods = {made.id: (period_hash(made.body), True) for made in periods_of(connection, None)}
    contracts = {made.id: (contract_hash(made), True) for made in all_contracts(connection)}
    recorded = (
        (CONTRACT_RECORDED, contracts),
        (PERIOD_CLOSED, periods),
        (REPORT_ISSUED, reports),
        (FACTOR_RECORDED, factors),
        (EXPERIMENT_RECORDED, experiments),
    )
    erased = {
        id_
        for entry in chain
        if entry.action == TEAM_ERASED
        for id_ in msgspec.json.decode(entry.body)["documents"]
    }
    yield from _changed_tables(connection, chain, erased)
    for action, held in recorded:
        noun = action.partition(".")[0]
        told = {entry.subject: entry for entry in chain if entry.action == action}
        for id_, entry in told.items():
            if id_ not in erased:
                yield from _compared(noun, id_, entry, held.get(id_))
        for id_ in held.keys() - told.keys():
            yield AuditFault(None, f"{noun}_not_in_chain", f"{id_} was written past the log")


def _changed_tables(
    connection: Connection, chain: list[audit.Entry], erased: set[str]
) -> Iterator[AuditFault]:
    """Of the tables that were kept with reports those that are gone, or are others."""
    salts = {report.id: report.salt for report in reports_of(connection, None, _EVERY_ONE)}
    held = {
        id_: table_hash(salts.get(id_, ""), content)
        for id_, content in all_report_tables(connection)
    }
    for entry in chain:
        if entry.action != REPORT_ISSUED or entry.subject in erased:
            continue
        told = msgspec.json.decode(entry.body).get("table")
        if told is not None and held.get(entry.subject) != told:
            detail = f"the table kept with {entry.subject} is not what was recorded"
            yield AuditFault(entry.id, "report_table_changed", detail)


def table_hash(salt: str, content: bytes) -> str:
    """Of the table that a report was summed from, salted as the report's own."""
    return f"sha256:{sha256(bytes.fromhex(salt) + content).hexdigest()}"


def _compared(
    noun: str, id_: str, entry: audit.Entry, found: tuple[str, bool] | None
) -> Iterator[AuditFault]:
    if found is None:
        yield AuditFault(entry.id, f"{noun}_missing", f"{id_} was recorded and is gone")
        return
    hash_, is_sound = found
    if msgspec.json.decode(entry.body).get("hash") != hash_ or not is_sound:
        yield AuditFault(entry.id, f"{noun}_changed", f"{id_} is not what was recorded")


def _is_sound(statement: str, hash_: str) -> bool:
    return hash_ == statement_hash(statement.encode())


def statement_hash(statement: bytes) -> str:
    return f"sha256:{sha256(statement).hexdigest()}"
