"""Takes in what meters and counters saw: energy intervals, reservations and unit counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from hashlib import sha256

import numpy as np
from sqlalchemy import Connection, bindparam, select

from carbon.domain.claims import SubjectKind, SubjectRef
from carbon.domain.principal import Principal
from carbon.domain.rollup import Reservation, most_held_ppm
from carbon.domain.tenancy import WorkloadName
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_HOUR, PPM, QUARTER_MS, floor_to
from carbon.domain.yearly import normal_zone
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.grid.intensity import stated_zone
from carbon.services.ingest.column_sending import ColumnSending
from carbon.services.ingest.counted_already import refuse_counted
from carbon.services.ingest.frontier import Frontier
from carbon.services.ingest.known_senders import KnownSenders
from carbon.services.ingest.pieces import FewPieces, Pieces
from carbon.services.ingest.row_sending import RowSending
from carbon.services.ingest.sending import Sending, Who
from carbon.services.ingest.sent_columns import SentBatch, SentColumns, SentRows, WhoText
from carbon.services.ingest.writer import Writer
from carbon.services.rollup.raw_readings import may_be_cold, open_devices
from carbon.services.rollup.straight_to_cold import join_cold, straight_to_cold
from carbon.storage import energy, names
from carbon.storage.engine import reading
from carbon.storage.identities import Identities, check_room, device_ids
from carbon.storage.interval_columns import Ints
from carbon.storage.metered import read_quarters
from carbon.storage.places import state_zone
from carbon.storage.rollups import buckets_of_device, buckets_of_subject
from carbon.storage.upsert import insert_new
from carbon.wire.decode import Decoded
from carbon.wire.energy import EnergyBatch, IngestAnswer, ReservationInfo

#: When a source was last heard is noted so often; many send several batches a second.
_HEAR_EVERY_MS = 1_000

# Built once: on the path of every small sending, building a statement costs more than running it.
_b = energy.ingest_batch.c
_SAME_BATCH = select(_b.body_hash, _b.intervals).where(
    _b.source_id == bindparam("of_source"),
    _b.boot_id == bindparam("of_boot"),
    _b.seq == bindparam("of_seq"),
)


class Ingest:
    """POST /v1/energy. Remembers, per meter, how far it was read, and what was noted already."""

    def __init__(self, context: Context, writer: Writer) -> None:
        self._context = context
        self._writer = writer
        self._frontier = Frontier()
        self._known = KnownSenders()
        #: Zones that can be priced.
        self._zones: set[str] = set()

    def submit(
        self, principal: Principal, decoded: Decoded, raw_body: bytes
    ) -> Future[IngestAnswer]:
        """Queues a batch; the future answers once it is committed.

        Raises InvalidInput(`unknown_zone`) for a zone that nothing is known of.
        """
        sent = SentBatch.of(decoded)
        return self._writer.submit(self.write(principal, sent, raw_body), len(sent.intervals))

    def work(
        self, principal: Principal, decoded: Decoded, raw_body: bytes
    ) -> Callable[[Identities], IngestAnswer]:
        """What writes a batch, for a transaction of the caller's. Raises as `submit`."""
        return self.write(principal, SentBatch.of(decoded), raw_body)

    def write(
        self, principal: Principal, sent: SentBatch, raw_body: bytes
    ) -> Callable[[Identities], IngestAnswer]:
        """As `work`, of a batch of any content type."""
        batch, now_ms = sent.batch, self._context.clock.now_ms()
        sending = _judged(principal, batch, self._zone(batch), now_ms, sent.intervals)
        for reservation in batch.reservations:
            sending.check(reservation)
        sending.rejected.extend(sent.rejected)
        if not batch.is_import:
            self._open_days(sending)
        body_hash = sha256(raw_body).digest()
        return _Write(self._context, sending, body_hash, self._frontier, self._known)

    def _open_days(self, sending: Sending) -> None:
        """Late intervals are judged by what their days hold: sealed ones come back first."""
        hot_ms = self._context.hot_from_ms
        late = sending.before(hot_ms)
        if late is None:
            return
        devices, first, last = late
        with reading(self._context.engine) as connection:
            known = device_ids(connection, devices)
        for at in range(floor_to(first, MS_PER_DAY), min(last, hot_ms), MS_PER_DAY):
            open_devices(self._context, at, known)

    def check_room(self) -> None:
        """Raises TooBusy(`ingest_full`): asked before a batch is read."""
        self._writer.check_room()

    def _zone(self, batch: EnergyBatch) -> str | None:
        if batch.zone is None:
            return None
        zone = normal_zone(batch.zone)
        if zone not in self._zones:
            with reading(self._context.engine) as connection:
                stated_zone(connection, zone)
            self._zones.add(zone)
        return zone


def _judged(
    principal: Principal,
    batch: EnergyBatch,
    zone: str | None,
    now_ms: int,
    intervals: SentColumns | SentRows,
) -> Sending:
    if isinstance(intervals, SentRows):
        return RowSending(principal, batch, zone, now_ms, intervals)
    return ColumnSending(principal, batch, zone, now_ms, intervals)


class _Write:
    """What the writer runs for one energy batch, within its transaction."""

    def __init__(
        self,
        context: Context,
        sending: Sending,
        body_hash: bytes,
        frontier: Frontier,
        known: KnownSenders,
    ) -> None:
        self._context = context
        self._sending = sending
        self._body_hash = body_hash
        self._frontier = frontier
        self._known = known

    def __call__(self, ids: Identities) -> IngestAnswer:
        sending, batch = self._sending, self._sending.batch
        principal = sending.principal
        team_id = 0 if principal.sees_all_teams else ids.team(principal.team)
        source_id = ids.source(team_id, batch.source, principal.meter_kind)
        devices = self._devices(ids, source_id, team_id)
        rejected = sorted(sending.rejected, key=lambda rejection: rejection.index)
        if self._seen_before(ids, source_id):
            return IngestAnswer(0, len(sending), 0, rejected, [], [])
        self._describe(ids, devices)
        if batch.is_import and isinstance(sending, ColumnSending):
            refuse_counted(ids, sending, source_id, devices)
            rejected = sorted(sending.rejected, key=lambda rejection: rejection.index)
        for reservation in batch.reservations:
            self._reserve(ids, reservation, devices[reservation.device])
        duplicate, conflict = self._write_intervals(ids, source_id, devices)
        self._note_batch(ids, source_id)
        if ids.created_workloads:
            check_room(ids.connection, self._context.settings.max_created_names)
        accepted = len(sending) - duplicate - conflict
        return IngestAnswer(
            accepted,
            duplicate,
            conflict,
            rejected,
            ids.take_created_devices(),
            ids.take_created_workloads(),
        )

    def _seen_before(self, ids: Identities, source_id: int) -> bool:
        """The same batch key with the same body, judged alike (what was from the future may be
        accepted now): nothing needs a look. Else the rows decide."""
        batch = self._sending.batch
        key = (source_id, batch.boot_id, batch.seq)
        if key in ids.pending.batches:
            known = ids.pending.batches[key][:2]
        elif self._is_later(ids, source_id):
            return False
        else:
            named = dict(zip(("of_source", "of_boot", "of_seq"), key, strict=True))
            found = ids.connection.execute(_SAME_BATCH, named).one_or_none()
            if found is None:
                return False
            known = (found.body_hash, found.intervals)
        return known == (self._body_hash, len(self._sending))

    def _is_later(self, ids: Identities, source_id: int) -> bool:
        """Its number is above all that this process took of the source's boot: it cannot have
        taken the batch before, and where another process did, the rows decide."""
        batch = self._sending.batch
        newest = ("seq", source_id, batch.boot_id)
        known = ids.fresh.get(newest, ids.cache.get(newest))
        ids.fresh[newest] = max(batch.seq, known or 0)
        return known is not None and batch.seq > known

    def _note_batch(self, ids: Identities, source_id: int) -> None:
        batch, now_ms = self._sending.batch, self._sending.now_ms
        ids.pending.batches.setdefault(
            (source_id, batch.boot_id, batch.seq),
            (self._body_hash, len(self._sending), now_ms),
        )
        heard = ("heard", source_id)
        if abs(now_ms - ids.cache.get(heard, 0)) >= _HEAR_EVERY_MS:
            ids.fresh[heard] = now_ms
            skew_ms = batch.sent_ms - now_ms if batch.sent_ms is not None else None
            ids.pending.sources[source_id] = (now_ms, skew_ms, batch.spooled)

    def _devices(self, ids: Identities, source_id: int, team_id: int) -> Mapping[str, int]:
        """Ids of the devices of the batch that this key may write for (among others, perhaps);
        refuses the intervals of those that it may not. Raises InvalidInput(`foreign_device`)
        where it reserves one of them."""
        batch, sending = self._sending.batch, self._sending
        reserved = {reservation.device for reservation in batch.reservations}
        uuids = {*sending.devices, *reserved, *(info.device for info in batch.devices)}
        known = self._known.devices(source_id)
        if known.keys() >= uuids:
            return known
        host_id = ids.host(batch.host or _own_host(sending.principal, batch.source))
        # In order, so that replicas that meet the same new ones never wait for each other.
        devices = {uuid: ids.device(uuid, host_id, team_id) for uuid in sorted(uuids)}
        if sending.principal.sees_all_teams:
            return devices
        foreign = {u for u, device_id in devices.items() if ids.owner_of(device_id) != team_id}
        if foreign & reserved:
            raise InvalidInput("foreign_device", "a reserved device belongs to another team")
        sending.refuse_devices(foreign)
        return {u: device_id for u, device_id in devices.items() if u not in foreign}

    def _describe(self, ids: Identities, devices: Mapping[str, int]) -> None:
        """Notes what the batch says of its devices: what they are, and where."""
        for info in self._sending.batch.devices:
            if info.device in devices:
                ids.describe_device(devices[info.device], info.kind, info.model)
        zone = self._sending.zone
        if zone is None:
            return
        for uuid, start_ms in self._sending.first_ms.items():
            if uuid in devices:
                self._state_zone(ids, devices[uuid], zone, start_ms)

    def _state_zone(self, ids: Identities, device_id: int, zone: str, start_ms: int) -> None:
        is_guess = self._sending.batch.zone_is_guess
        now_ms = self._sending.now_ms
        stated, value = ("zone", device_id), hash((zone, is_guess))
        if ids.cache.get(stated) == value:
            return
        ids.fresh[stated] = value
        if state_zone(ids.connection, device_id, zone, is_guess, start_ms, now_ms):
            later = buckets_of_device(ids.connection, device_id, start_ms)
            ids.pending.dirty.update(later)

    def _reserve(self, ids: Identities, sent: ReservationInfo, device_id: int) -> None:
        sending = self._sending
        workload = sending.workload(sent.workload)
        subject = sending.subject(None, sent.run, workload)
        subject_id = self._subject(ids, subject, workload, sent.start_ms)
        self._check_share(ids, sent, device_id, subject_id)
        if subject.kind is SubjectKind.RUN and sent.end_ms <= sending.now_ms:
            # What held a device ran, also where nobody metered it.
            self._widen(ids, subject.key, subject_id, workload, sent.start_ms, sent.end_ms)
        row = {
            "device_id": device_id,
            "start_ms": sent.start_ms,
            "subject_id": subject_id,
            "end_ms": sent.end_ms,
            "share_ppm": sent.share_ppm,
            "recorded_ms": sending.now_ms,
        }
        insert_new(ids.connection, energy.reservation, [row])
        ids.pending.dirty.update(self._held_buckets(ids.connection, sent, device_id))

    def _held_buckets(
        self, connection: Connection, sent: ReservationInfo, device_id: int
    ) -> Iterator[tuple[int, int]]:
        """What a reservation changes: buckets that were read. A quarter's accounts of a cluster
        hold ten thousands of others. Of the last hour all of them, since other servers may be
        writing their readings just now."""
        now_ms = self._sending.now_ms
        window = (floor_to(sent.start_ms, QUARTER_MS), min(sent.end_ms, now_ms))
        quarters = set(read_quarters(connection, [device_id], *window))
        for at_ms in range(floor_to(sent.start_ms, BUCKET_MS), window[1], BUCKET_MS):
            if at_ms > now_ms - MS_PER_HOUR or floor_to(at_ms, QUARTER_MS) in quarters:
                yield at_ms, device_id

    def _check_share(
        self, ids: Identities, sent: ReservationInfo, device_id: int, subject_id: int
    ) -> None:
        """Raises InvalidInput(`overreserved`) where a device would be held more than once."""
        window = (sent.start_ms, sent.end_ms)
        known = energy.reservations_between(ids.connection, [device_id], *window)
        others = [
            r
            for r in known.get(device_id, ())
            if (r.subject, r.start_ms) != (subject_id, sent.start_ms)
        ]
        new = Reservation(subject_id, *window, sent.share_ppm)
        if most_held_ppm([*others, new]) > PPM:
            raise InvalidInput(
                "overreserved",
                f"the device {sent.device} would be reserved to more than the whole of it",
            )

    def _write_intervals(
        self, ids: Identities, source_id: int, devices: Mapping[str, int]
    ) -> tuple[int, int]:
        """Answers how many sent intervals were duplicates, and how many contradicted."""
        if not len(self._sending):
            return 0, 0
        pieces = self._pieces(ids, source_id, devices)
        pieces.mark(ids.pending)
        is_in_order = pieces.follow(self._frontier)
        if is_in_order and not may_be_cold(self._context, pieces.first_end_ms - MS_PER_DAY):
            pieces.add_new(ids.pending)
            return 0, 0
        columns, owners = pieces.columns, np.asarray(pieces.owners)
        is_cold = straight_to_cold(self._context, ids, columns, self._sending.batch.is_import)
        if is_in_order and not is_cold.any():
            pieces.add_new(ids.pending)
            return 0, 0
        known = np.zeros(len(owners), dtype=bool)
        contradicts = known.copy()
        for place, write in ((~is_cold, self._join_hot), (is_cold, self._join_cold)):
            if place.any():
                at = np.flatnonzero(place)
                written = write(ids, columns[:, at])
                known[at[sorted(written.duplicates)]] = True
                contradicts[at[[one.position for one in written.contradictions]]] = True
        conflicts = set(owners[contradicts].tolist())
        return len(set(owners.tolist()) - set(owners[~known].tolist()) - conflicts), len(conflicts)

    def _join_hot(self, ids: Identities, columns: Ints) -> energy.Written:
        ids.pending.flush_rows(ids.connection)
        written = energy.write_intervals(ids.connection, columns)
        return self._keep_conflicts(ids, columns, written)

    def _join_cold(self, ids: Identities, columns: Ints) -> energy.Written:
        return self._keep_conflicts(ids, columns, join_cold(self._context, ids, columns))

    def _keep_conflicts(
        self, ids: Identities, columns: Ints, written: energy.Written
    ) -> energy.Written:
        now_ms = self._sending.now_ms
        energy.keep_conflicts(ids.connection, columns, written.contradictions, now_ms)
        return written

    def _pieces(
        self, ids: Identities, source_id: int, devices: Mapping[str, int]
    ) -> Pieces | FewPieces:
        """Names that were met before are known, with all that hangs on them; new ones are learnt
        with the commit."""
        sending, team = self._sending, self._sending.principal.team
        known = self._known.subjects(team)
        meters = self._known.meters(source_id)
        new_meters = {
            uuid: (devices[uuid], ids.meter(devices[uuid], source_id))
            for uuid in sending.devices
            if uuid not in meters
        }
        new_subjects: dict[WhoText, int] = {}

        def meet(text: WhoText, who: Who) -> int:
            subject_id = self._seen(ids, who)
            if self._is_settled(ids, who):
                new_subjects[text] = subject_id
            return subject_id

        all_meters = {**meters, **new_meters} if new_meters else meters
        pieces = sending.pieces(all_meters, meet, known)
        if new_meters or new_subjects:
            new_devices = {uuid: ids_of[0] for uuid, ids_of in new_meters.items()}
            new = (source_id, new_devices, new_meters, team, new_subjects)
            ids.after_commit(lambda: self._known.learn(*new))
        return pieces

    def _is_settled(self, ids: Identities, who: Who) -> bool:
        """Whether meeting it again changes nothing: a run grows, and others may change hands; an
        old name of a workload may be taken back."""
        if who.workload is None:
            return who.subject.kind is not SubjectKind.RUN
        return who.subject.kind is SubjectKind.NAME and ids.is_own_name(who.workload)

    def _seen(self, ids: Identities, who: Who) -> int:
        """The id of a subject of this batch, its run noted."""
        subject_id = self._subject(ids, who.subject, who.workload, who.start_ms)
        if who.subject.kind is SubjectKind.RUN:
            self._widen(ids, who.subject.key, subject_id, who.workload, who.start_ms, who.end_ms)
        return subject_id

    def _widen(
        self,
        ids: Identities,
        run: str,
        subject_id: int,
        workload: WorkloadName | None,
        start_ms: int,
        end_ms: int,
    ) -> None:
        workload_id = ids.workload(workload) if workload else None
        names.widen_run(ids.connection, run, subject_id, workload_id, start_ms, end_ms)

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
                self._claim(ids, subject_id, workload_id, 0)
                ids.fresh[noted] = 1
        else:
            self._claim(ids, subject_id, workload_id, start_ms)
        return subject_id

    def _claim(self, ids: Identities, subject_id: int, workload_id: int, start_ms: int) -> None:
        """What the subject drew before this was known is rolled up anew."""
        connection, now_ms = ids.connection, ids.now_ms
        if names.claim_subject(connection, subject_id, workload_id, start_ms, "sent", now_ms):
            rolled = buckets_of_subject(connection, subject_id, floor_to(start_ms, BUCKET_MS))
            ids.pending.dirty.update(rolled)


def _own_host(principal: Principal, source: str) -> str:
    """The host of a sender that names none: a team's is its own."""
    return source if principal.sees_all_teams else f"{principal.team}/{source}"
