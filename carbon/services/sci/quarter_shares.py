"""A workload's part of a quarter-hour that several share: by integers, so that parts sum to it."""

from __future__ import annotations

from collections.abc import Mapping

from carbon.storage.ledger_rows import LedgerRow
from carbon.storage.quarters import Quarter


def part_of(q: Quarter, weights: Mapping[int, int], workload_id: int) -> LedgerRow:
    """By weight; parts of all who have one sum to the quarter exactly, in each of its measures."""
    total = sum(weights.values())
    before = sum(weight for other, weight in weights.items() if other < workload_id)
    until = before + weights[workload_id]
    return _row(q, [w * until // total - w * before // total for w in _measures(q)])


def taken_from(q: Quarter) -> LedgerRow:
    """All of a quarter, as what takes it away from whom it was counted for."""
    return _row(q, [-w for w in _measures(q)])


def _measures(q: Quarter) -> tuple[int, int, int, int]:
    return q.energy_mj, q.operational_ng, q.covered_ms, q.reserved_ms


def _row(q: Quarter, measures: list[int]) -> LedgerRow:
    return LedgerRow(q.device_id, q.subject_id, q.method, q.rating_id, *measures)
