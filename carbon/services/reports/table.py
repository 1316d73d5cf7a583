"""The quarter-hours that a report is summed from: kept with it, its pack verifies for ever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from carbon.clock import from_rfc3339, to_rfc3339
from carbon.domain.energy import Method
from carbon.domain.principal import Principal
from carbon.domain.reports import GapPolicy
from carbon.domain.units import MS_PER_DAY, QUARTER_MS, ceil_to, floor_to
from carbon.exports.quarter_table import TableRow
from carbon.services.context import Context
from carbon.services.sci.counting import DEVICE_HOUR
from carbon.services.sci.question import Question, known_workload
from carbon.services.sci.sci import Account, workload_account
from carbon.storage.engine import reading
from carbon.storage.ledger_rows import LedgerRow, rows_between
from carbon.storage.quarters import quarters_between
from carbon.storage.settled import pieces_of
from carbon.wire.reports import ReportBody, Statement

#: Above it, a fleet over a year, the table has a row a day.
MOST_QUARTERS: Final = 400_000

_Keys = tuple[str, ...]


def report_table(
    context: Context, principal: Principal, request: ReportBody, statement: Statement
) -> list[TableRow]:
    """Of a resolved request, from the ledger as it is."""
    names = dict.fromkeys(line.answer.workload for line in statement.lines)
    return [row for name in names for row in _table(context, principal, name, request)]


def sums_to(table: Iterable[TableRow], statement: Statement) -> bool:
    """Whether a table has exactly the parts of a statement: the ledger may move between both."""
    sums: dict[_Keys, list[int]] = defaultdict(lambda: [0, 0, 0])
    for r in table:
        so_far = sums[r.workload, *r[3:10]]
        so_far[0] += r.energy_mj
        so_far[1] += r.operational_ng
        so_far[2] += r.covered_ms
    parts: dict[_Keys, list[int]] = {}
    for line in statement.lines:
        for p in line.operational:
            price = (p.zone, p.source, p.signal, p.scope, p.intensity_kind)
            measures = [p.energy_mj, p.operational_ng, p.covered_ms]
            parts[line.answer.workload, p.device, p.method, *price] = measures
    return {key: own for key, own in sums.items() if any(own)} == {
        key: own for key, own in parts.items() if any(own)
    }


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
    if len(whole.devices) * (last - first) // QUARTER_MS <= MOST_QUARTERS:
        yield from _quarters(context, principal, name, whole, first, last)
    else:
        yield from _days(context, principal, name, whole, first, last)


def _quarters(
    context: Context, principal: Principal, name: str, whole: Account, first: int, last: int
) -> Iterator[TableRow]:
    with reading(context.engine) as connection:
        workload_id = known_workload(connection, principal, principal.workload(name))
        found = quarters_between(connection, list(whole.devices), first, last, workload_id)
    told = {}
    stamp = lru_cache(maxsize=64)(to_rfc3339)  # each end is the next one's start
    for q in found:
        key = q.device_id, q.method, q.rating_id
        if key not in told:
            told[key] = _told(whole, *key)
        span = stamp(q.start_ms), stamp(q.start_ms + QUARTER_MS)
        measures = (q.energy_mj, q.operational_ng, q.covered_ms, q.reserved_ms)
        yield TableRow._make((name, *span, *told[key], *measures))


def _days(
    context: Context, principal: Principal, name: str, whole: Account, first: int, last: int
) -> Iterator[TableRow]:
    timezone = ZoneInfo(context.settings.timezone)
    marks = [first, *range(floor_to(first, MS_PER_DAY) + MS_PER_DAY, last, MS_PER_DAY), last]
    with reading(context.engine) as connection:
        workload_id = known_workload(connection, principal, principal.workload(name))
        pieces = pieces_of(connection, timezone, workload_id)
        for lo, hi in pairwise(marks):
            rows = rows_between(connection, workload_id, lo, hi, pieces)
            yield from _rows(name, whole, rows, lo, hi)


def _told(account: Account, device_id: int, method: int, rating_id: int) -> _Keys:
    rating = account.ratings[rating_id]
    return (
        account.devices[device_id].uuid,
        Method(method).label,
        rating.zone,
        rating.source,
        rating.signal,
        rating.scope,
        rating.kind,
    )


def _rows(
    name: str, account: Account, rows: Iterable[LedgerRow], start_ms: int, end_ms: int
) -> Iterator[TableRow]:
    start, end = to_rfc3339(start_ms), to_rfc3339(end_ms)
    for row in rows:
        told = _told(account, row.device_id, row.method, row.rating_id)
        measures = (row.energy_mj, row.operational_ng, row.covered_ms, row.reserved_ms)
        yield TableRow._make((name, start, end, *told, *measures))
