"""Takes in what meters and counters saw: energy intervals, reservations and unit counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

from sqlalchemy import select, update

from carbon.domain.claims import IDLE, UNATTRIBUTED, SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method, cut
from carbon.domain.principal import Principal
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, floor_to
from carbon.domain.yearly import normal_zone
from carbon.errors import CarbonError, InvalidInput, NotFound
from carbon.services.context import Context
from carbon.services.intensity import known_zone
from carbon.services.writer import Writer
from carbon.storage import energy, names
from carbon.storage.bulk import IntervalRow
from carbon.storage.engine import reading
from carbon.storage.identities import Identities, check_room
from carbon.storage.places import state_zone
from carbon.storage.upsert import insert_new
from carbon.wire.decode import Decoded
from carbon.wire.energy import (
    DeviceInfo,
    EnergyBatch,
    EnergyInterval,
    IngestAnswer,
    Rejection,
    ReservationInfo,
)

#: Clocks may be this far ahead of ours.
MAX_AHEAD_MS = 300_000
#: Longer intervals hide more than they tell; an import cuts its months first.
MAX_SPAN_MS = 31 * MS_PER_DAY


class Ingest:
    """POST /v1/energy. Remembers, per meter, how far it was read, and what was noted already."""

    def __init__(self, context: Context, writer: Writer) -> None:
        self._context = context
        self._writer = writer
        #: Latest end of each meter seen by this process: nothing after it can overlap.
        self._frontier: dict[int, int] = {}
        #: (subject, workload) claims and (device, zone) statements known to be stored.
        self._noted: set[tuple[object, ...]] = set()

    def submit(
        self, principal: Principal, decoded: Decoded, raw_body: bytes
    ) -> Future[IngestAnswer]:
        """Queues a batch; the future answers once it is committed.

        Raises InvalidInput(`unknown_zone`) for a zone that nothing is known of.
        """
        batch: EnergyBatch = decoded.body
        zone = self._zone(batch)
        sending = _Sending(principal, batch, zone, self._context.clock.now_ms())
        for reservation in batch.reservations:
            sending.check(reservation)
        for position, interval in zip(decoded.positions, decoded.items, strict=True):
            sending.add(position, interval)
        body_hash = blake2b(raw_body, digest_size=16).digest()
        write = _Write(self._context, sending, decoded, body_hash, self._frontier, self._noted)
        return self._writer.submit(write)

    def _zone(self, batch: EnergyBatch) -> str | None:
        if batch.zone is None:
            return None
        zone = normal_zone(batch.zone)
        if ("zone", zone) not in self._noted:
            with reading(self._context.engine) as connection:
                try:
                    known_zone(connection, zone)
                except NotFound as error:
                    raise InvalidInput(error.code, error.detail, **error.extra) from None
            self._noted.add(("zone", zone))
        return zone


@dataclass(frozen=True, slots=True)
class _Accepted:
    """An interval that can be meant, with its subject and workload worked out."""

    position: int
    sent: EnergyInterval
    subject: SubjectRef
    workload: WorkloadName | None
    method: Method


@dataclass
class _Sending:
    """A batch on its way: judged, not yet written."""

    principal: Principal
    batch: EnergyBatch
    zone: str | None
    now_ms: int
    accepted: list[_Accepted] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    def add(self, position: int, sent: EnergyInterval) -> None:
        try:
            self.accepted.append(self._judged(position, sent))
        except CarbonError as error:
            self.rejected.append(Rejection(position, error.code, error.detail))

    def check(self, sent: ReservationInfo) -> None:
        """Raises InvalidInput: a batch with a reservation that cannot be meant is refused whole,
        since its embodied carbon would silently be another's."""
        check_span(sent.start_ms, sent.end_ms, self.now_ms + MAX_SPAN_MS)
        self.workload(sent.workload)

    def _judged(self, position: int, sent: EnergyInterval) -> _Accepted:
        check_span(sent.start_ms, sent.end_ms, self.now_ms)
        try:
            method = Method.of(sent.method)
        except KeyError:
            known = ", ".join(m.label for m in Method)
            raise InvalidInput("unknown_method", f"{sent.method!r} is none of {known}") from None
        workload = self.workload(sent.workload)
        subject = self.subject(sent.subject, sent.run, workload)
        return _Accepted(position, sent, subject, workload, method)

    def workload(self, text: str | None) -> WorkloadName | None:
        if text is None:
            return None
        try:
            return self.principal.workload(text)
        except NotFound:
            raise InvalidInput("foreign_team", f"this key may not write for {text!r}") from None

    def subject(
        self, text: str | None, run: str | None, workload: WorkloadName | None
    ) -> SubjectRef:
        """Run before named subject before workload; nothing said is `unattributed`."""
        if run is not None:
            return run_subject(workload.team if workload else self.principal.team, run)
        if text is not None:
            return self._stated_subject(text)
        if workload is not None:
            return SubjectRef(SubjectKind.NAME, str(workload))
        return UNATTRIBUTED

    def _stated_subject(self, text: str) -> SubjectRef:
        try:
            subject = SubjectRef.parse(text)
        except ValueError:
            raise InvalidInput("invalid_subject", f"{text!r} is no subject") from None
        if self.principal.meter_kind is MeterKind.TRACKER and subject not in (IDLE, UNATTRIBUTED):
            raise InvalidInput(
                "subject_not_allowed", "a team's key states runs and workloads, not subjects"
            )
        return subject


def run_subject(team: str, run: str) -> SubjectRef:
    """Runs are named within their team, so that two teams' run 1 are two runs."""
    return SubjectRef(SubjectKind.RUN, f"{team}/{run}")


def check_span(start_ms: int, end_ms: int, now_ms: int) -> None:
    """Raises InvalidInput where [start, end) is empty, too long, or in the future."""
    if end_ms <= start_ms:
        raise InvalidInput("end_before_start", "end_ms must be greater than start_ms")
    if end_ms - start_ms > MAX_SPAN_MS:
        raise InvalidInput("span_too_long", "an interval may span 31 days at most")
    if end_ms > now_ms + MAX_AHEAD_MS:
        raise InvalidInput("from_the_future", "the interval ends over 5 minutes from now")


class _Write:
    """What the writer runs for one energy batch, within its transaction."""

    def __init__(
        self,
        context: Context,
        sending: _Sending,
        decoded: Decoded,
        body_hash: bytes,
        frontier: dict[int, int],
        noted: set[tuple[object, ...]],
    ) -> None:
        self._context = context
        self._sending = sending
        self._decoded = decoded
        self._body_hash = body_hash
        self._frontier = frontier
        self._noted = noted

    def __call__(self, ids: Identities) -> IngestAnswer:
        sending, batch = self._sending, self._sending.batch
        rejected = sorted(
            [*self._decoded.rejected, *sending.rejected], key=lambda rejection: rejection.index
        )
        principal = sending.principal
        team_id = 0 if principal.sees_all_teams else ids.team(principal.team)
        source_id = ids.source(team_id, batch.source, principal.meter_kind)
        if self._seen_before(ids, source_id):
            return IngestAnswer(0, len(sending.accepted), 0, rejected, [], [])
        devices = self._devices(ids)
        for reservation in batch.reservations:
            self._reserve(ids, reservation, devices[reservation.device])
        duplicate, conflict = self._write_intervals(ids, source_id, devices)
        self._note_batch(ids, source_id)
        if ids.created_workloads:
            check_room(ids.connection, self._context.settings.max_created_names)
        accepted = len(sending.accepted) - duplicate - conflict
        return IngestAnswer(
            accepted,
            duplicate,
            conflict,
            rejected,
            _taken(ids.created_devices),
            _taken(ids.created_workloads),
        )

    def _seen_before(self, ids: Identities, source_id: int) -> bool:
        """The same batch key with the same body: nothing needs a look. Else the rows decide."""
        b, batch = energy.ingest_batch.c, self._sending.batch
        known = ids.connection.scalar(
            select(b.body_hash).where(
                b.source_id == source_id, b.boot_id == batch.boot_id, b.seq == batch.seq
            )
        )
        return known == self._body_hash

    def _note_batch(self, ids: Identities, source_id: int) -> None:
        batch, now_ms = self._sending.batch, self._sending.now_ms
        row = {
            "source_id": source_id,
            "boot_id": batch.boot_id,
            "seq": batch.seq,
            "body_hash": self._body_hash,
            "intervals": len(self._sending.accepted),
            "recorded_ms": now_ms,
        }
        insert_new(ids.connection, energy.ingest_batch, [row])
        skew_ms = batch.sent_ms - now_ms if batch.sent_ms is not None else None
        ids.connection.execute(
            update(names.source)
            .where(names.source.c.id == source_id)
            .values(last_seen_ms=now_ms, skew_ms=skew_ms)
        )

    def _devices(self, ids: Identities) -> dict[str, int]:
        """Ids of all devices of the batch, with what it says of their kind and zone."""
        batch = self._sending.batch
        host_id = ids.host(batch.host or batch.source)
        first_ms: dict[str, int] = {}
        for item in self._sending.accepted:
            uuid, start_ms = item.sent.device, item.sent.start_ms
            first_ms[uuid] = min(start_ms, first_ms.get(uuid, start_ms))
        for reservation in batch.reservations:
            first_ms.setdefault(reservation.device, reservation.start_ms)
        devices = {uuid: ids.device(uuid, host_id) for uuid in first_ms}
        for info in batch.devices:
            self._describe(ids, info, devices, host_id)
        if self._sending.zone is not None:
            for uuid, start_ms in first_ms.items():
                self._state_zone(ids, devices[uuid], self._sending.zone, start_ms)
        return devices

    def _describe(
        self, ids: Identities, info: DeviceInfo, devices: dict[str, int], host_id: int
    ) -> None:
        device_id = devices.setdefault(info.device, ids.device(info.device, host_id))
        ids.describe_device(device_id, info.kind, info.model)

    def _state_zone(self, ids: Identities, device_id: int, zone: str, start_ms: int) -> None:
        is_guess = self._sending.batch.zone_is_guess
        now_ms = self._sending.now_ms
        stated, value = ("zone", device_id), hash((zone, is_guess))
        if ids.cache.get(stated) == value:
            return
        ids.fresh[stated] = value
        if state_zone(ids.connection, device_id, zone, is_guess, start_ms, now_ms):
            later = energy.rolled_buckets(ids.connection, device_id, start_ms)
            energy.mark_dirty(ids.connection, later, now_ms)

    def _reserve(self, ids: Identities, sent: ReservationInfo, device_id: int) -> None:
        sending = self._sending
        workload = sending.workload(sent.workload)
        subject = sending.subject(None, sent.run, workload)
        subject_id = self._subject(ids, subject, workload, sent.start_ms)
        row = {
            "device_id": device_id,
            "start_ms": sent.start_ms,
            "subject_id": subject_id,
            "end_ms": sent.end_ms,
            "share_ppm": sent.share_ppm,
            "recorded_ms": sending.now_ms,
        }
        insert_new(ids.connection, energy.reservation, [row])
        past = range(
            floor_to(sent.start_ms, BUCKET_MS), min(sent.end_ms, sending.now_ms), BUCKET_MS
        )
        energy.mark_dirty(ids.connection, [(at, device_id) for at in past], sending.now_ms)

    def _write_intervals(
        self, ids: Identities, source_id: int, devices: Mapping[str, int]
    ) -> tuple[int, int]:
        """Answers how many sent intervals were duplicates, and how many contradicted."""
        rows, owners, dirty = self._rows(ids, source_id, devices)
        if not rows:
            return 0, 0
        in_order = self._advance(rows)
        written = energy.write_intervals(ids.connection, rows, in_order)
        now_ms = self._sending.now_ms
        energy.keep_conflicts(ids.connection, rows, written.contradictions, now_ms)
        energy.mark_dirty(ids.connection, dirty, now_ms)
        conflicts = {owners[c.position] for c in written.contradictions}
        kept = {owners[i] for i in range(len(rows)) if i not in written.duplicates}
        duplicates = set(owners) - kept
        return len(duplicates - conflicts), len(conflicts)

    def _rows(
        self, ids: Identities, source_id: int, devices: Mapping[str, int]
    ) -> tuple[list[IntervalRow], list[int], set[tuple[int, int]]]:
        """The pieces to store, the index of the accepted interval each is of, dirty buckets."""
        rows: list[IntervalRow] = []
        owners: list[int] = []
        dirty: set[tuple[int, int]] = set()
        for index, item in enumerate(self._sending.accepted):
            sent = item.sent
            device_id = devices[sent.device]
            meter_id = ids.meter(device_id, source_id)
            subject_id = self._subject(ids, item.subject, item.workload, sent.start_ms)
            if item.subject.kind is SubjectKind.RUN:
                self._widen_run(ids, item, subject_id)
            for start_ms, end_ms, energy_mj in cut(sent.start_ms, sent.end_ms, sent.energy_mj):
                span_ms = end_ms - start_ms
                rows.append((end_ms, meter_id, subject_id, span_ms, energy_mj, int(item.method)))
                owners.append(index)
                dirty.add((floor_to(start_ms, BUCKET_MS), device_id))
        return rows, owners, dirty

    def _subject(
        self, ids: Identities, ref: SubjectRef, workload: WorkloadName | None, start_ms: int
    ) -> int:
        """The subject's id, claimed for its workload. Runs and names are claimed for all time;
        others, which may change hands, from the interval on."""
        subject_id = ids.subject(ref)
        if workload is None:
            return subject_id
        workload_id = ids.workload(workload)
        if ref.kind in (SubjectKind.RUN, SubjectKind.NAME):
            noted = ("claim", subject_id, workload_id)
            if noted not in ids.cache and noted not in ids.fresh:
                names.claim_subject(ids.connection, subject_id, workload_id, 0, "sent", ids.now_ms)
                ids.fresh[noted] = 1
        else:
            names.claim_subject(
                ids.connection, subject_id, workload_id, start_ms, "sent", ids.now_ms
            )
        return subject_id

    def _widen_run(self, ids: Identities, item: _Accepted, subject_id: int) -> None:
        workload_id = ids.workload(item.workload) if item.workload else None
        names.widen_run(
            ids.connection,
            item.subject.key,
            subject_id,
            workload_id,
            item.sent.start_ms,
            item.sent.end_ms,
        )

    def _advance(self, rows: Iterable[IntervalRow]) -> bool:
        """Whether every row begins at or after what is known of its meter; notes their ends."""
        in_order = True
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        periods: dict[tuple[int, int], set[int]] = {}
        for end_ms, meter_id, _subject, span_ms, *_ in rows:
            start_ms = end_ms - span_ms
            first[meter_id] = min(start_ms, first.get(meter_id, start_ms))
            last[meter_id] = max(end_ms, last.get(meter_id, end_ms))
            periods.setdefault((meter_id, span_ms), set()).add(start_ms)
        for meter_id, start_ms in first.items():
            known = self._frontier.get(meter_id)
            in_order &= known is not None and start_ms >= known
            self._frontier[meter_id] = max(last[meter_id], known or 0)
        return in_order and not any(
            _any_closer(starts, span_ms) for (_, span_ms), starts in periods.items()
        )


def _any_closer(starts: set[int], span_ms: int) -> bool:
    ordered = sorted(starts)
    return any(b - a < span_ms for a, b in pairwise(ordered))


def _taken(names_created: list[str]) -> list[str]:
    """Moves the list out: the identities of a group are shared by its batches."""
    taken = list(names_created)
    names_created.clear()
    return taken
