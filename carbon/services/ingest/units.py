"""Takes in unit counts: POST /v1/units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from zoneinfo import ZoneInfo

from carbon.domain.civil import civil_days
from carbon.domain.energy import cut
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import DERIVED_UNITS
from carbon.errors import CarbonError, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.ingest.sending import check_span
from carbon.services.ingest.writer import Writer
from carbon.services.rollup.settling import mark_unsettled
from carbon.storage.corrections import counted_as
from carbon.storage.identities import Identities, check_room
from carbon.storage.unit_counts import CountRow, choose_source, write_counts
from carbon.storage.unit_definitions import converted_units
from carbon.wire.decode import Decoded
from carbon.wire.energy import IngestAnswer, Rejection, UnitCount


class UnitIngest:
    def __init__(self, context: Context, writer: Writer) -> None:
        self._context = context
        self._writer = writer

    def submit(self, principal: Principal, decoded: Decoded) -> Future[IngestAnswer]:
        """Queues counts; the future answers once they are committed."""
        return self._writer.submit(self.work(principal, decoded))

    def work(self, principal: Principal, decoded: Decoded) -> Callable[[Identities], IngestAnswer]:
        """What writes the counts, for a transaction of the caller's."""
        now_ms = self._context.clock.now_ms()
        good: list[tuple[UnitCount, WorkloadName]] = []
        places: list[int] = []
        rejected = list(decoded.rejected)
        for position, sent in zip(decoded.positions, decoded.items, strict=True):
            try:
                good.append((sent, _judged(principal, sent, now_ms)))
                places.append(position)
            except CarbonError as error:
                rejected.append(Rejection(position, error.code, error.detail))

        def write(ids: Identities) -> IngestAnswer:
            counted, refused = _countable(ids, good, places)
            verdicts = _write(ids, principal, counted)
            self._unsettle(ids, counted)
            if ids.created_workloads:
                check_room(ids.connection, self._context.settings.max_created_names)
            return IngestAnswer(
                accepted=verdicts.count("accepted"),
                duplicate=verdicts.count("duplicate"),
                conflict=verdicts.count("conflict"),
                rejected=sorted([*rejected, *refused], key=lambda one: one.index),
                created_workloads=ids.take_created_workloads(),
            )

        return write

    def _unsettle(self, ids: Identities, good: Sequence[tuple[UnitCount, WorkloadName]]) -> None:
        timezone = ZoneInfo(self._context.settings.timezone)
        days = {
            (workload_id, *day)
            for sent, name in good
            for workload_id in counted_as(ids.connection, ids.workload(name))
            for day in civil_days(sent.start_ms, sent.end_ms, timezone)
        }
        mark_unsettled(ids.connection, days, timezone)


def _judged(principal: Principal, sent: UnitCount, now_ms: int) -> WorkloadName:
    check_span(sent.start_ms, sent.end_ms, now_ms)
    if sent.unit in DERIVED_UNITS:
        raise InvalidInput("derived_unit", f"{sent.unit!r} is counted by the ledger itself")
    try:
        return principal.workload(sent.workload)
    except NotFound:
        raise InvalidInput(
            "foreign_team", f"this key may not write for {sent.workload!r}"
        ) from None


def _countable(
    ids: Identities, good: Sequence[tuple[UnitCount, WorkloadName]], places: Sequence[int]
) -> tuple[Sequence[tuple[UnitCount, WorkloadName]], list[Rejection]]:
    """Counts without those of units that follow from others, and these refused."""
    converted = converted_units(ids.connection)
    if not converted:
        return good, []
    kept, refused = [], []
    for place, (sent, name) in zip(places, good, strict=True):
        if ids.unit(ids.workload(name), sent.unit) in converted:
            detail = f"{sent.unit!r} is converted from another unit; count that one"
            refused.append(Rejection(place, "unit_is_converted", detail))
        else:
            kept.append((sent, name))
    return kept, refused


def _write(
    ids: Identities, principal: Principal, good: Sequence[tuple[UnitCount, WorkloadName]]
) -> list[str]:
    """What became of each count; those of one unit and source are written together."""
    together: dict[tuple[int, int, bool], list[list[CountRow]]] = defaultdict(list)
    for sent, name in good:
        unit_id = ids.unit(ids.workload(name), sent.unit)
        team_id = ids.team(name.team)
        source_id = ids.source(team_id, sent.source, principal.meter_kind, sent.family)
        rows = [
            (end_ms, unit_id, source_id, end_ms - start_ms, count)
            for start_ms, end_ms, count in cut(sent.start_ms, sent.end_ms, sent.count)
        ]
        together[unit_id, source_id, sent.family is None].append(rows)
    verdicts = []
    for (unit_id, source_id, may_overlap), counts in together.items():
        choose_source(ids.connection, unit_id, source_id)
        verdicts += write_counts(ids.connection, counts, ids.now_ms, may_overlap)
    return verdicts
