"""The rows that a score is made of, read from the coarsest roll-up that fits the window."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, Table, func, select, union_all

from carbon.domain.units import BUCKET_MS, QUARTER_MS, ceil_to, floor_to
from carbon.storage.among import among
from carbon.storage.host_servers import ServerShare, server_shares
from carbon.storage.names import device, device_model, host, host_period
from carbon.storage.rollups import bucket, quarter_hour
from carbon.storage.sealed_days import buckets_kept_from
from carbon.storage.settled import PiecesOf

#: (device, subject, method, rating)
RowKey = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Sums over a window of one device, subject, method and way of pricing."""

    device_id: int
    subject_id: int
    method: int
    rating_id: int
    energy_mj: int
    operational_ng: int
    covered_ms: int
    reserved_ms: int

    @property
    def key(self) -> RowKey:
        return self.device_id, self.subject_id, self.method, self.rating_id


def rows_between(
    connection: Connection,
    workload_id: int,
    start_ms: int,
    end_ms: int,
    pieces: PiecesOf,
    subject_id: int | None = None,
) -> list[LedgerRow]:
    """Rows of the whole buckets in [start, end): settled months and days and whole quarter-hours
    from their roll-ups (`pieces` of the workload), the buckets at either edge from theirs. Both
    ends must lie on bucket marks."""
    first, last = ceil_to(start_ms, QUARTER_MS), floor_to(end_ms, QUARTER_MS)
    if first >= last:
        spans = [(bucket, start_ms, end_ms)]
    else:
        spans = [
            (bucket, start_ms, first),
            *pieces(first, last),
            (bucket, last, end_ms),
        ]
    # As one statement: each of them costs more than the few rows that it sums.
    sums = [_sums(table, workload_id, lo, hi, subject_id) for table, lo, hi in spans if lo < hi]
    if not sums:
        return []
    found = connection.execute(union_all(*sums) if len(sums) > 1 else sums[0]).all()
    return added(LedgerRow(*(int(n) for n in row)) for row in found)


def _sums(
    table: Table, workload_id: int, start_ms: int, end_ms: int, subject_id: int | None
) -> Select[tuple[int, ...]]:
    t = table.c
    keys = (t.device_id, t.subject_id, t.method, t.rating_id)
    measures = (t.energy_mj, t.operational_ng, t.covered_ms, t.reserved_ms)
    query = (
        select(*keys, *(func.sum(m) for m in measures))
        .where(t.workload_id == workload_id, t.start_ms >= start_ms, t.start_ms < end_ms)
        .group_by(*keys)
    )
    return query if subject_id is None else query.where(t.subject_id == subject_id)


def added(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """Rows of equal key summed, in order of key."""
    sums: dict[RowKey, list[int]] = {}
    for row in rows:
        so_far = sums.setdefault(row.key, [0, 0, 0, 0])
        measures = (row.energy_mj, row.operational_ng, row.covered_ms, row.reserved_ms)
        for place, value in enumerate(measures):
            so_far[place] += value
    return [LedgerRow(*key, *sums[key]) for key in sorted(sums)]


def devices_in_bucket(connection: Connection, workload_id: int, start_ms: int) -> list[int]:
    b = bucket.c
    query = select(b.device_id).where(b.start_ms == start_ms, b.workload_id == workload_id)
    return sorted(set(connection.scalars(query)))


def bucket_starts(
    connection: Connection, workload_id: int, start_ms: int, end_ms: int
) -> list[int]:
    """In order, the buckets that touch [start, end) and of which the workload has a row."""
    b = bucket.c
    query = select(b.start_ms).where(
        b.workload_id == workload_id, b.start_ms > start_ms - BUCKET_MS, b.start_ms < end_ms
    )
    return sorted(connection.scalars(query.distinct()))


def buckets_with_energy(
    connection: Connection,
    workload_id: int,
    start_ms: int,
    end_ms: int,
    subject_id: int | None = None,
) -> set[int]:
    """Starts of the buckets that touch [start, end) in which the workload has energy; where the
    buckets are gone, of its quarter-hours with energy all three."""
    found = _with_energy(connection, bucket, BUCKET_MS, (start_ms, end_ms), workload_id, subject_id)
    kept_ms = buckets_kept_from(connection)
    if start_ms < kept_ms:
        span = (start_ms, min(end_ms, kept_ms))
        for at in _with_energy(connection, quarter_hour, QUARTER_MS, span, workload_id, subject_id):
            found |= {at, at + BUCKET_MS, at + 2 * BUCKET_MS}
    return found


def _with_energy(
    connection: Connection,
    table: Table,
    width_ms: int,
    span_ms: tuple[int, int],
    workload_id: int,
    subject_id: int | None,
) -> set[int]:
    t = table.c
    query = select(t.start_ms).where(
        t.workload_id == workload_id,
        t.start_ms > span_ms[0] - width_ms,
        t.start_ms < span_ms[1],
        t.energy_mj > 0,
    )
    if subject_id is not None:
        query = query.where(t.subject_id == subject_id)
    return set(connection.scalars(query.distinct()))


def life_of(connection: Connection, workload_id: int) -> tuple[int, int] | None:
    """First start and last end of the workload's buckets; None where it has none. Where the
    buckets are gone already, of its quarter-hours."""
    q, b = quarter_hour.c, bucket.c
    of_workload = q.workload_id == workload_id
    # A subquery each: then each is one look into the index, while both as one read all of it.
    first, last = _each(
        connection,
        select(func.min(q.start_ms)).where(of_workload),
        select(func.max(q.start_ms)).where(of_workload),
    )
    if first is None or last is None:
        return None
    own = b.workload_id == workload_id
    first_bucket, last_bucket = _each(
        connection,
        select(func.min(b.start_ms)).where(own, b.start_ms < first + QUARTER_MS),
        select(func.max(b.start_ms)).where(own, b.start_ms >= last),
    )
    end_ms = last + QUARTER_MS if last_bucket is None else last_bucket + BUCKET_MS
    return first_bucket or first, end_ms


def _each(connection: Connection, *numbers: Select[tuple[int]]) -> Sequence[int | None]:
    """What each of them selects, in one turn to the database."""
    query = select(*(number.scalar_subquery() for number in numbers))
    return connection.execute(query).one()


@dataclass(frozen=True, slots=True)
class DeviceRef:
    uuid: str
    kind: str
    model: str
    #: When its host first came into service, where the inventory says so.
    commissioned_ms: int | None = None
    host: str = ""
    #: What it carries of a server that somebody stated.
    server: ServerShare | None = None


def devices_by_id(connection: Connection, ids: Sequence[int]) -> dict[int, DeviceRef]:
    d, m = device.c, device_model.c
    query = (
        select(d.id, d.uuid, m.kind, m.model, d.host_id, host.c.name)
        .join_from(device, device_model)
        .join(host, host.c.id == d.host_id)
        .where(among(device.c.id, ids))
    )
    servers = server_shares(connection, ids)
    rows = connection.execute(query).all()
    commissioned = _commissioned_ms(connection, {row[4] for row in rows})
    return {
        id_: DeviceRef(uuid, kind, model, commissioned.get(host_id), name, servers.get(id_))
        for id_, uuid, kind, model, host_id, name in rows
    }


def _commissioned_ms(connection: Connection, host_ids: Collection[int]) -> dict[int, int]:
    """When hosts first came into service, of those of which the inventory says so."""
    p = host_period.c
    query = (
        select(p.host_id, func.min(p.commissioned_ms))
        .where(among(p.host_id, host_ids), p.correction_id.is_(None))
        .where(p.commissioned_ms.is_not(None))
        .group_by(p.host_id)
    )
    return {row[0]: row[1] for row in connection.execute(query).all()}
