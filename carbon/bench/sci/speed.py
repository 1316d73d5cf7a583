"""How long reports and proofs take."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import msgspec
from sqlalchemy import BigInteger, Connection, Insert, Table, cast, insert, literal, select

from carbon.bench.figure import Figure, at_most
from carbon.bench.sci.made import ADMIN, BEGIN_MS, made_ledger
from carbon.clock import to_rfc3339
from carbon.domain.units import BUCKET_MS, MS_PER_DAY
from carbon.services.audit import verify_audit
from carbon.services.reports.explanation import explain_report
from carbon.services.reports.reports import issue_report, statement_of
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.settling import settle
from carbon.storage.energy import unit_count
from carbon.storage.engine import writing
from carbon.storage.rollups import bucket, quarter_hour
from carbon.wire.energy import DeviceInfo, EnergyInterval, UnitCount
from carbon.wire.reports import ReportBody

_CARD: Final = DeviceInfo("gpu-0", "gpu", "NVIDIA H100 80GB HBM3")


def figures(quick: bool) -> list[Figure]:
    days = 30 if quick else 365
    end_ms = BEGIN_MS + days * MS_PER_DAY
    with made_ledger(end_ms) as ledger:
        ledger.intensity([300.0 + 100 * (hour % 7) for hour in range(24)])
        marks = range(BEGIN_MS, BEGIN_MS + MS_PER_DAY, BUCKET_MS)
        ledger.send(
            [_CARD],
            [
                EnergyInterval("gpu-0", at, at + BUCKET_MS, 10**8 + at % 977, "counter", "w")
                for at in marks
            ],
        )
        ledger.count([UnitCount("w", "token", "app", at, at + BUCKET_MS, 1_000) for at in marks])
        roll_up(ledger.context)
        with writing(ledger.context.engine) as connection:
            _repeat(connection, days)
        settle(ledger.context)
        body = ReportBody(to_rfc3339(BEGIN_MS), to_rfc3339(end_ms), workload="w", units=["token"])
        context = ledger.context
        request = msgspec.structs.replace(body, workload=None, workloads=["default/w"])
        stated_ms = _median_ms(lambda: statement_of(context, ADMIN, request))
        issued_ms = _median_ms(lambda: issue_report(context, ADMIN, body))
        report = issue_report(context, ADMIN, body)
        explained_ms = _median_ms(lambda: explain_report(context, ADMIN, report.id))
        verified_ms = _median_ms(lambda: verify_audit(context))
    note = f"{days} days of 5 minutes, one card, one unit"
    return [
        at_most(f"report over {days} days", stated_ms, "ms", 100.0, note),
        at_most("explain", explained_ms, "ms", 200.0, note),
        at_most("issue and sign", issued_ms, "ms", 1_000.0, note),
        at_most("verify the chain of these reports", verified_ms, "ms", 1_000.0),
    ]


def _repeat(connection: Connection, days: int) -> None:
    """The first day's rows on every other day; measured is the reading and not the sending."""
    for table, column in ((bucket, "start_ms"), (quarter_hour, "start_ms"), (unit_count, "end_ms")):
        for day in range(1, days):
            connection.execute(_shifted(table, column, day * MS_PER_DAY))


def _shifted(table: Table, column: str, by_ms: int) -> Insert:
    moved = [
        (c + cast(literal(by_ms), BigInteger)).label(c.name) if c.name == column else c
        for c in table.c
    ]
    last_ms = BEGIN_MS + MS_PER_DAY - (column == "start_ms")
    first_day = table.c[column] <= last_ms
    return insert(table).from_select([c.name for c in table.c], select(*moved).where(first_day))


def _median_ms(work: Callable[[], object], times: int = 5) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(1_000 * (time.perf_counter() - began))
    return median(took)
