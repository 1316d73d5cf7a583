"""Idle time that nobody reserved, given to who drew: by policy, and never by default."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import replace

from carbon.domain.claims import NO_WORKLOAD
from carbon.domain.reports import HostPolicy, IdlePolicy
from carbon.domain.units import QUARTER_MS, ceil_to, floor_to
from carbon.services.sci.quarter_shares import part_of
from carbon.services.sci.window_ledger import Ledger, Scope
from carbon.storage.host_devices import host_parts
from carbon.storage.ledger_rows import LedgerRow, added, devices_by_id
from carbon.storage.quarters import Quarter, all_quarters, idle_subjects


def with_idle_time(scope: Scope, ledger: Ledger, policy: IdlePolicy) -> Ledger:
    """Whole quarter-hours. Shares of all workloads, and what stays idle because nobody drew, sum
    to the idle energy exactly."""
    start_ms, end_ms = ceil_to(ledger.start_ms, QUARTER_MS), floor_to(ledger.end_ms, QUARTER_MS)
    if policy is IdlePolicy.RESERVER or start_ms >= end_ms or scope.subject_id is not None:
        return ledger
    devices = {row.device_id for row in ledger.rows if row.device_id > 0}
    fleet = None if policy is IdlePolicy.OVERHEAD else devices
    quarters = all_quarters(scope.connection, start_ms, end_ms, fleet)
    if scope.question.host_parts is HostPolicy.RESERVATION:  # who held the GPUs has them already
        parts = host_parts(scope.connection)
        quarters = [q for q in quarters if q.device_id not in parts]
    rows = idle_shares(quarters, idle_subjects(scope.connection), scope.workload_id, policy)
    if not rows:
        return ledger
    ids = sorted({row.device_id for row in rows})
    return replace(
        ledger,
        rows=added([*ledger.rows, *rows]),
        added_rows=[*ledger.added_rows, *rows],
        devices={**ledger.devices, **devices_by_id(scope.connection, ids)},
        ratings=scope.ratings.by_id,
    )


def idle_shares(
    quarters: Sequence[Quarter], idle: set[int], workload_id: int, policy: IdlePolicy
) -> list[LedgerRow]:
    """A workload's part of the idle quarters, in proportion to the energy that workloads drew in
    the same quarter-hour: on the same device, or of the whole fleet (`overhead`)."""
    drawn: dict[Hashable, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for q in quarters:
        if q.workload_id != NO_WORKLOAD:
            drawn[_pool(q, policy)][q.workload_id] += q.energy_mj
    rows = []
    for q in quarters:
        own = drawn.get(_pool(q, policy), {})
        if q.subject_id not in idle or q.workload_id != NO_WORKLOAD or not own.get(workload_id):
            continue
        rows.append(part_of(q, own, workload_id))
    return rows


def _pool(q: Quarter, policy: IdlePolicy) -> Hashable:
    return q.start_ms if policy is IdlePolicy.OVERHEAD else (q.start_ms, q.device_id)
