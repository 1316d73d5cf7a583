"""The inventory: where machines stand, from when on, and which of them should report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, select

from carbon.clock import to_rfc3339
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, QUARTER_MS, ceil_to, floor_to
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.fleet.power_columns import SILENT_AFTER_MS
from carbon.services.grid.cloud_place import in_region
from carbon.services.grid.intensity import stated_zone
from carbon.services.rollup.rollup import roll_up
from carbon.services.trackers.host_addresses import declare_address, declared_addresses
from carbon.storage.dirty import mark_dirty
from carbon.storage.engine import reading, writing
from carbon.storage.host_reports import HostReport, host_reports
from carbon.storage.identities import Identities
from carbon.storage.names import device, host_period
from carbon.storage.places import last_begun
from carbon.storage.repricing import mark_price
from carbon.storage.rollups import buckets_of_device, quarter_hour
from carbon.storage.settled import Piece, pieces_between
from carbon.wire.hosts import HostAnswer, HostBody, HostList

_FACTS = (
    *("site", "zone", "pue", "owner", "region", "server", "gpus"),
    *("commissioned_ms", "retired_ms"),
)


@dataclass(frozen=True, slots=True)
class HostTimes:
    """The moments of a `HostBody`, read."""

    valid_from_ms: int = 0
    commissioned_ms: int | None = None
    retired_ms: int | None = None


def record_host(context: Context, body: HostBody, times: HostTimes) -> HostAnswer:
    """Notes what is known of a host from a time on, and re-rates what it ran since. Said again
    it is noted once.

    Raises InvalidInput (`pue_below_one`, `unknown_zone`, `unknown_region`, `blank_coefficient`,
    `retired_before_commissioned`).
    """
    check_pue(body.pue)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        body = in_region(connection, body, now_ms) if body.region else body
        zone = stated_zone(connection, body.zone) if body.zone else None
        host_id = Identities(connection, now_ms, {}).host(body.name)
        row = {
            "host_id": host_id,
            "start_ms": times.valid_from_ms,
            "site": body.site,
            "zone": zone,
            "pue": body.pue,
            "owner": body.owner,
            "region": body.region,
            "server": body.server,
            "gpus": body.gpus,
            "commissioned_ms": times.commissioned_ms,
            "retired_ms": times.retired_ms,
        }
        known = _periods(connection, host_id)
        _check_dates(known, times)
        if not any(all(period[k] == v for k, v in row.items()) for period in known):
            connection.execute(host_period.insert().values(**row, recorded_ms=now_ms))
            if zone is not None or body.pue is not None:
                re_rate(connection, host_id, times.valid_from_ms, hot_ms=context.hot_from_ms)
        for address in body.trackers:
            declare_address(connection, host_id, address, now_ms)
    day_ms = now_ms - MS_PER_DAY
    return next(h for h in list_hosts(context, day_ms, now_ms).hosts if h.name == body.name)


def check_pue(pue: float | None) -> None:
    if pue is not None and not 1.0 <= pue <= 10.0:
        raise InvalidInput("pue_below_one", "a PUE lies between 1 and 10")


def _check_dates(known: list[dict[str, Any]], times: HostTimes) -> None:
    """A host that comes back is commissioned anew; what retires has been in service."""
    if times.retired_ms is None:
        return
    commissioned_ms = times.commissioned_ms or last_begun(known, "commissioned_ms")
    if commissioned_ms is not None and times.retired_ms < commissioned_ms:
        raise InvalidInput(
            "retired_before_commissioned",
            f"it was commissioned on {to_rfc3339(commissioned_ms)}, which is later",
        )


def re_rate(
    connection: Connection,
    host_id: int,
    start_ms: int,
    end_ms: int | None = None,
    *,
    hot_ms: int,
) -> int:
    """Marks what a host ran over [start, end) to be priced anew: from readings since `hot_ms`,
    before that in sets. Answers how many hot buckets."""
    of_host = select(device.c.id).where(device.c.host_id == host_id)
    devices = connection.scalars(of_host).all()
    if devices:
        aged_end_ms = hot_ms if end_ms is None else min(end_ms, hot_ms)
        mark_price(connection, "", floor_to(start_ms, BUCKET_MS), aged_end_ms)
    marked = 0
    for device_id in devices:
        touched = buckets_of_device(
            connection, device_id, floor_to(max(start_ms, hot_ms), BUCKET_MS)
        )
        inside = [bucket for bucket in touched if end_ms is None or bucket[0] < end_ms]
        mark_dirty(connection, inside)
        marked += len(inside)
    return marked


def list_hosts(
    context: Context, start_ms: int, end_ms: int, from_settled: bool = False
) -> HostList:
    """Every host with what holds now, and how much of [start, end) it reported.

    `from_settled` reads days and months that are over as a whole, which is quick over a year;
    a quarter-hour that was read in part then counts as such.

    Raises InvalidInput(`end_before_start`).
    """
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end must be later than start")
    start_ms, end_ms = floor_to(start_ms, QUARTER_MS), ceil_to(end_ms, QUARTER_MS)
    roll_up(context, end_ms=end_ms)
    now_ms = context.clock.now_ms()
    read = expected = silent = 0
    hosts = []
    with reading(context.engine) as connection:
        addresses = declared_addresses(connection)
        stated = _periods_of(connection)
        pieces: list[Piece] = [(quarter_hour, start_ms, end_ms)]
        if from_settled:
            timezone = ZoneInfo(context.settings.timezone)
            pieces = pieces_between(connection, start_ms, end_ms, timezone)
        for report in host_reports(connection, pieces):
            periods = [p for p in stated.get(report.id, ()) if _holds(p, now_ms)]
            known = {fact: last_begun(periods, fact) for fact in (*_FACTS, "start_ms")}
            state = _state(known, report.last_seen_ms, now_ms)
            due = _expected(known, report, start_ms, min(end_ms, ceil_to(now_ms, QUARTER_MS)))
            due = max(due, report.quarters) if report.is_registered else 0
            read += report.quarters if due else 0
            expected += due
            silent += state == "silent" and report.is_registered
            share = report.quarters / due if due else None
            hosts.append(_answer(report, known, state, share, addresses.get(report.id, [])))
    return HostList(
        hosts,
        to_rfc3339(start_ms),
        to_rfc3339(end_ms),
        read / expected if expected else None,
        silent,
    )


def _answer(
    report: HostReport,
    known: dict[str, Any],
    state: str,
    share: float | None,
    addresses: list[str],
) -> HostAnswer:
    return HostAnswer(
        name=report.name,
        site=known["site"],
        zone=known["zone"],
        pue=known["pue"],
        owner=known["owner"],
        region=known["region"],
        server=known["server"],
        gpus=known["gpus"],
        valid_from=_stamp(known["start_ms"]),
        devices=report.devices,
        commissioned=_stamp(known["commissioned_ms"]),
        retired=_stamp(known["retired_ms"]),
        trackers=addresses,
        state=state,
        last_seen=_stamp(report.last_seen_ms),
        completeness=share,
    )


def _stamp(ms: int | None) -> str | None:
    return to_rfc3339(ms) if ms is not None else None


def _state(known: dict[str, Any], last_seen_ms: int | None, now_ms: int) -> str:
    commissioned_ms, retired_ms = known["commissioned_ms"], known["retired_ms"]
    is_back = commissioned_ms is not None and retired_ms is not None
    is_back = is_back and retired_ms < commissioned_ms
    if retired_ms is not None and retired_ms <= now_ms and not is_back:
        return "retired"
    if commissioned_ms is not None and commissioned_ms > now_ms:
        return "planned"
    is_heard = last_seen_ms is not None and last_seen_ms >= now_ms - SILENT_AFTER_MS
    return "reporting" if is_heard else "silent"


def _expected(known: dict[str, Any], report: HostReport, start_ms: int, end_ms: int) -> int:
    """Quarter-hours of a window in which a registered host was in service."""
    commissioned_ms, retired_ms = known["commissioned_ms"], known["retired_ms"]
    first_ms = report.created_ms if commissioned_ms is None else commissioned_ms
    last_ms = end_ms if retired_ms is None or retired_ms < first_ms else retired_ms
    lo, hi = max(start_ms, floor_to(first_ms, QUARTER_MS)), min(end_ms, last_ms)
    return max(0, -(-(hi - lo) // QUARTER_MS))


def _periods(connection: Connection, host_id: int) -> list[dict[str, Any]]:
    return _periods_of(connection, host_period.c.host_id == host_id).get(host_id, [])


def _periods_of(
    connection: Connection, *conditions: ColumnElement[bool]
) -> dict[int, list[dict[str, Any]]]:
    """What people stated of each host."""
    found: dict[int, list[dict[str, Any]]] = {}
    query = select(host_period).where(host_period.c.correction_id.is_(None), *conditions)
    for row in connection.execute(query).mappings():
        found.setdefault(row["host_id"], []).append(dict(row))
    return found


def _holds(period: dict[str, Any], at_ms: int) -> bool:
    return period["start_ms"] <= at_ms and (period["end_ms"] is None or period["end_ms"] > at_ms)
