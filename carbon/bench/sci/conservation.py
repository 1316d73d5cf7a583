"""What was metered is all there: of tenants, of idle time and of nobody."""

from __future__ import annotations

from random import Random
from typing import Final

from sqlalchemy import Table, func, select

from carbon.bench.figure import Figure, at_most
from carbon.bench.sci.made import ADMIN, BEGIN_MS, MadeLedger, made_ledger
from carbon.clock import to_rfc3339
from carbon.domain.inventory import ContractKind
from carbon.domain.units import MS_PER_HOUR
from carbon.services.reports.inventory import record_contract
from carbon.services.reports.reports import statement_of
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.storage.engine import reading
from carbon.storage.names import device
from carbon.storage.rollups import bucket, quarter_hour
from carbon.wire.energy import DeviceInfo, EnergyInterval
from carbon.wire.inventory import ContractBody
from carbon.wire.reports import ReportBody

_TENANTS: Final = ("default/a", "default/b", "default/c")
_CARDS: Final = [DeviceInfo(f"gpu-{n}", "gpu", "NVIDIA H100 80GB HBM3") for n in range(2)]


def figures(quick: bool) -> list[Figure]:
    hours = 1 if quick else 6
    with made_ledger(BEGIN_MS + 24 * MS_PER_HOUR) as ledger:
        metered = _fill(ledger, hours)
        roll_up(ledger.context)
        end_ms = BEGIN_MS + hours * MS_PER_HOUR
        lost = max(abs(_lost(ledger, table, metered)) for table in (bucket, quarter_hour))
        return [
            at_most("tenants, idle and unallocated less the meters", lost, "mJ", 0.0),
            at_most("tenants' answers less their rows", _answered(ledger, end_ms), "mJ", 0.0),
            at_most("components less the total", _components(ledger, end_ms), "1", 1e-12),
            at_most("change of SCI by contracts", _by_contracts(ledger, end_ms), "statements", 0.0),
        ]


def _fill(ledger: MadeLedger, hours: int) -> dict[str, int]:
    """Minutes of odd spans, shared at random; gives the energy of each card, mJ."""
    draw = Random("conservation")
    ledger.intensity([draw.uniform(50, 600) for _ in range(hours)])
    metered = dict.fromkeys((card.device for card in _CARDS), 0)
    intervals = []
    for card in _CARDS:
        at_ms, end_ms = BEGIN_MS, BEGIN_MS + hours * MS_PER_HOUR
        while at_ms < end_ms:
            until_ms = min(end_ms, at_ms + draw.randint(7_001, 120_000))
            for name in (*draw.sample(_TENANTS, 2), None):
                energy_mj = draw.randint(1, 10**8)
                metered[card.device] += energy_mj
                subject = None if name else draw.choice(["idle", "unattributed"])
                intervals.append(
                    EnergyInterval(
                        card.device, at_ms, until_ms, energy_mj, "counter", name, subject=subject
                    )
                )
            at_ms = until_ms
    ledger.send(_CARDS, intervals)
    return metered


def _lost(ledger: MadeLedger, table: Table, metered: dict[str, int]) -> int:
    query = (
        select(device.c.uuid, func.sum(table.c.energy_mj))
        .join(device, device.c.id == table.c.device_id)
        .group_by(device.c.uuid)
    )
    with reading(ledger.context.engine) as connection:
        kept = {uuid: int(energy_mj) for uuid, energy_mj in connection.execute(query)}
    return max(abs(kept.get(uuid, 0) - energy_mj) for uuid, energy_mj in metered.items())


def _answered(ledger: MadeLedger, end_ms: int) -> int:
    """Answers over halves of the window against the rows of all workloads."""
    middle_ms = BEGIN_MS + (end_ms - BEGIN_MS) // 2 + 12_345
    told = sum(
        workload_sci(ledger.context, ADMIN, Question(name, lo, hi, "device_hour")).energy_mj
        for name in _TENANTS
        for lo, hi in ((BEGIN_MS, middle_ms), (middle_ms, end_ms))
    )
    query = select(func.sum(bucket.c.energy_mj)).where(bucket.c.workload_id > 0)
    with reading(ledger.context.engine) as connection:
        return abs(told - int(connection.scalar(query) or 0))


def _by_contracts(ledger: MadeLedger, end_ms: int) -> int:
    """Whether a statement is another one after the market was bought empty."""
    window = to_rfc3339(BEGIN_MS), to_rfc3339(end_ms)
    request = ReportBody(*window, workloads=list(_TENANTS), units=["device_hour"])
    before = statement_of(ledger.context, ADMIN, request)
    for kind in (ContractKind.CERTIFICATE, ContractKind.PPA):
        bought = ContractBody(kind, "DE", *window, 0.0, "registry", 1e6, carbon_free=True)
        record_contract(ledger.context, ADMIN, bought)
    return int(statement_of(ledger.context, ADMIN, request) != before)


def _components(ledger: MadeLedger, end_ms: int) -> float:
    request = ReportBody(
        to_rfc3339(BEGIN_MS), to_rfc3339(end_ms), workloads=list(_TENANTS), units=["device_hour"]
    )
    worst = 0.0
    for line in statement_of(ledger.context, ADMIN, request).lines:
        parts = sum(o.operational_ng for o in line.operational)
        parts += sum(m.embodied_ng for m in line.embodied)
        worst = max(worst, abs(parts / 1e9 / line.answer.total_g - 1))
    return worst
