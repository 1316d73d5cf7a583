"""How long answers, reports and proofs take, and how many stated scores a core answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Final

import msgspec
from sqlalchemy import BigInteger, Connection, Insert, Table, cast, insert, literal, select

from carbon.bench.figure import Figure, at_least, at_most
from carbon.bench.sci.made import ADMIN, BEGIN_MS, made_ledger
from carbon.bench.serving import service
from carbon.clock import to_rfc3339
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR
from carbon.services.audit import verify_audit
from carbon.services.explanation import explain_report
from carbon.services.reports import issue_report, statement_of
from carbon.services.rollup import roll_up
from carbon.services.settling import settle
from carbon.storage.energy import unit_count
from carbon.storage.engine import writing
from carbon.storage.rollups import bucket, quarter_hour
from carbon.wire.energy import DeviceInfo, EnergyInterval, UnitCount
from carbon.wire.reports import ReportBody

_CARD: Final = DeviceInfo("gpu-0", "gpu", "NVIDIA H100 80GB HBM3")


def figures(quick: bool) -> list[Figure]:
    return [*_reports(quick), _calculate(quick)]


def _reports(quick: bool) -> list[Figure]:
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
        at_most("report over 1 year", stated_ms, "ms", 100.0, note),
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


def _calculate(quick: bool) -> Figure:
    """Over HTTP and one connection; the server's own CPU time counts."""
    body = msgspec.json.encode(
        {
            "components": [
                {
                    "name": "gpu",
                    "energy_kwh": 1.2,
                    "intensity_g_per_kwh": 300,
                    "pue": 1.1,
                    "embodied": {
                        "total_g": 164_000,
                        "reserved_s": MS_PER_HOUR // 1_000,
                        "lifespan_s": 126_144_000,
                        "share": 1,
                    },
                }
            ],
            "functional_unit": {"name": "token", "count": 1_000},
        }
    )
    calls = 300 if quick else 4_000
    with service() as running, running.client() as client:
        for _ in range(50):
            client.post("/v1/sci/calculate", content=body).raise_for_status()
        before = running.process.cpu_times()
        for _ in range(calls):
            client.post("/v1/sci/calculate", content=body)
        after = running.process.cpu_times()
    used_s = after.user + after.system - before.user - before.system
    note = f"{calls} calls over HTTP, of the server's CPU time"
    return at_least("POST /v1/sci/calculate", calls / used_s, "/s per core", 2_000.0, note)
