"""CPU and DRAM of a host, given to who held its GPUs: by policy, and never by default."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from carbon.domain.claims import NO_WORKLOAD
from carbon.domain.reports import HostPolicy
from carbon.domain.units import QUARTER_MS, ceil_to, floor_to
from carbon.services.sci.quarter_shares import part_of, taken_from
from carbon.services.sci.window_ledger import Ledger, Scope
from carbon.storage.host_devices import HostDevices, devices_beside
from carbon.storage.ledger_rows import LedgerRow, added, devices_by_id
from carbon.storage.quarters import Quarter, all_quarters


def with_host_parts(scope: Scope, ledger: Ledger, policy: HostPolicy) -> Ledger:
    """Whole quarter-hours. What all workloads get of a host's parts sums to them exactly, in every
    quarter-hour in which somebody held a GPU of that host; in the others nothing changes."""
    start_ms, end_ms = ceil_to(ledger.start_ms, QUARTER_MS), floor_to(ledger.end_ms, QUARTER_MS)
    if policy is HostPolicy.ENERGY or start_ms >= end_ms or scope.subject_id is not None:
        return ledger
    beside = devices_beside(scope.connection, {row.device_id for row in ledger.rows})
    quarters = all_quarters(scope.connection, start_ms, end_ms, set(beside.host_of))
    rows = host_shares(quarters, beside, scope.workload_id)
    if not rows:
        return ledger
    ids = sorted({row.device_id for row in rows})
    whole = [row for row in added([*ledger.rows, *rows]) if _says(row)]
    return replace(
        ledger,
        rows=whole,
        added_rows=[*ledger.added_rows, *rows],
        devices={**ledger.devices, **devices_by_id(scope.connection, ids)},
        ratings=scope.ratings.by_id,
    )


def host_shares(
    quarters: Sequence[Quarter], beside: HostDevices, workload_id: int
) -> list[LedgerRow]:
    """What a workload's own quarters of CPU and DRAM are replaced by: they are taken away, and its
    part of all of them, idle and unattributed ones too, is given, by reserved time of GPUs."""
    held = _held(quarters, beside.host_of, beside.gpus)
    rows = []
    for q in quarters:
        weights = held.get((q.start_ms, beside.host_of[q.device_id]), {})
        if q.device_id not in beside.parts or not weights:
            continue
        if q.workload_id == workload_id:
            rows.append(taken_from(q))
        if workload_id in weights:
            rows.append(part_of(q, weights, workload_id))
    return rows


def _held(
    quarters: Sequence[Quarter], host_of: Mapping[int, int], gpus: Set[int]
) -> dict[tuple[int, int], dict[int, int]]:
    """(quarter, host) → reserved GPU time of each workload that has any."""
    held: dict[tuple[int, int], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for q in quarters:
        if q.device_id in gpus and q.workload_id != NO_WORKLOAD and q.reserved_ms:
            held[q.start_ms, host_of[q.device_id]][q.workload_id] += q.reserved_ms
    return held


def _says(row: LedgerRow) -> bool:
    return any((row.energy_mj, row.operational_ng, row.covered_ms, row.reserved_ms))
