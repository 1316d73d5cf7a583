"""Takes in what other tools measured: series by the mapping, into energy and unit counts."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from carbon.domain.energy import MeterKind
from carbon.domain.principal import Principal
from carbon.errors import InvalidInput, Unavailable
from carbon.imports.harvest import Harvest, Reader, Trouble, content_seq
from carbon.imports.mapping import MetricMapping, load_mapping
from carbon.imports.series import Series
from carbon.imports.tracks import Track
from carbon.services.context import Context
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.units import UnitIngest
from carbon.services.ingest.writer import Writer
from carbon.storage.engine import writing
from carbon.storage.identities import Identities
from carbon.storage.imports import TrackRow, TroubleRow, add_troubles, save_tracks, tracks_of
from carbon.wire.decode import Decoded
from carbon.wire.energy import EnergyBatch, EnergyInterval, IngestAnswer, Rejection

log = logging.getLogger("carbon.imports")

#: Sequence numbers of an import say nothing of order: the content names the batch.
_BOOT: Final = "content"


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a sending. `rejected` counts intervals and counts that the ledger refused."""

    samples: int
    intervals: int
    counts: int
    rejected: int
    troubles: list[Trouble]


class Importing:
    """Reads series by the site's mapping, remembers how far, and writes what they come to: all
    in one transaction of the writer, so that a sending repeated after a crash counts once."""

    def __init__(self, context: Context, writer: Writer, ingest: Ingest, units: UnitIngest) -> None:
        self._context = context
        self._writer = writer
        self._ingest = ingest
        self._units = units
        self._mapping, self._fault = _mapping_or_fault(context.settings.mapping)
        if self._fault is not None:
            log.warning("imports wait until the mapping is mended: %s", self._fault.detail)
            self._tell_fault(self._fault)

    @property
    def mapping(self) -> MetricMapping:
        """Raises Unavailable with the mapping's fault: senders keep what they have and try
        again, so that nothing is lost while it is mended."""
        if self._mapping is None:
            assert self._fault is not None
            raise Unavailable(self._fault.code, self._fault.detail, 60)
        return self._mapping

    def submit(
        self, principal: Principal, way: str, series: Sequence[Series], body: bytes
    ) -> Future[Imported]:
        """Queues a sending; the future answers once it is committed.

        Raises Unavailable (`mapping_invalid`, `mapping_loops`) and TooBusy(`ingest_full`).
        """
        reader = Reader(self.mapping, way)
        work = _Work(self, principal.as_importer(), way, reader, series, content_seq(body))
        return self._writer.submit(work)

    def report(self, source: str, troubles: Iterable[Trouble]) -> None:
        """Notes faults that were met outside of a sending."""
        with writing(self._context.engine) as connection:
            add_troubles(connection, _trouble_rows(source, troubles))

    def _tell_fault(self, fault: InvalidInput) -> None:
        now_ms = self._context.clock.now_ms()
        about = str(self._context.settings.mapping)
        self.report("mapping", [Trouble(fault.code, about, fault.detail, now_ms, now_ms)])

    def energy_work(
        self, principal: Principal, source: str, host: str, seq: int, sent: EnergySent
    ) -> Any:
        batch = EnergyBatch(source, _BOOT, seq, sent.intervals, host=host or None)
        batch = msgspec.structs.replace(batch, devices=sent.devices, is_import=True)
        decoded = Decoded(batch, sent.intervals, range(len(sent.intervals)), [])
        return self._ingest.work(principal, decoded, msgspec.json.encode(batch))

    def units_work(self, principal: Principal, harvest: Harvest) -> Any:
        decoded = Decoded(None, harvest.counts, range(len(harvest.counts)), [])
        return self._units.work(principal, decoded)

    def now_ms(self) -> int:
        return self._context.clock.now_ms()


@dataclass(frozen=True, slots=True)
class EnergySent:
    intervals: list[EnergyInterval]
    devices: list[Any]


class _Work:
    """What the writer runs for one sending."""

    def __init__(
        self,
        importing: Importing,
        principal: Principal,
        way: str,
        reader: Reader,
        series: Sequence[Series],
        seq: int,
    ) -> None:
        self._importing = importing
        self._principal = principal
        self._way = way
        self._reader = reader
        self._series = series
        self._seq = seq

    def __call__(self, ids: Identities) -> Imported:
        rows = tracks_of(ids.connection, self._reader.keys(self._series))
        tracks = {row.key: _track(row) for row in rows}
        harvest = self._reader.read(self._series, tracks, self._importing.now_ms())
        rejected = self._write_energy(ids, harvest) + self._write_counts(ids, harvest)
        save_tracks(ids.connection, [_row(key, track) for key, track in harvest.moved.items()])
        troubles = list(harvest.troubles.values())
        add_troubles(ids.connection, _trouble_rows(self._way, troubles))
        intervals = sum(map(len, harvest.intervals.values()))
        return Imported(harvest.samples, intervals, len(harvest.counts), rejected, troubles)

    def _write_energy(self, ids: Identities, harvest: Harvest) -> int:
        rejected = 0
        for (source, host), intervals in harvest.intervals.items():
            intervals = _nameable(intervals, self._principal)
            devices = {interval.device for interval in intervals}
            described = [harvest.devices[device] for device in sorted(devices)]
            sent = EnergySent(_merged(intervals), described)
            work = self._importing.energy_work(self._principal, source, host, self._seq, sent)
            answer: IngestAnswer = work(ids)
            rejected += _tell_rejected(harvest, answer.rejected, self._importing.now_ms())
            if answer.conflict:
                detail = f"{answer.conflict} intervals contradict what was acknowledged first"
                harvest.tell("conflict", source, detail, self._importing.now_ms())
        return rejected

    def _write_counts(self, ids: Identities, harvest: Harvest) -> int:
        if not harvest.counts:
            return 0
        answer: IngestAnswer = self._importing.units_work(self._principal, harvest)(ids)
        return _tell_rejected(harvest, answer.rejected, self._importing.now_ms())


def _tell_rejected(harvest: Harvest, rejected: Sequence[Rejection], now_ms: int) -> int:
    for code, count in Counter(rejection.code for rejection in rejected).items():
        detail = next(r.detail for r in rejected if r.code == code)
        harvest.tell(code, "ledger", f"{count} refused: {detail}", now_ms)
    return len(rejected)


def _nameable(intervals: list[EnergyInterval], principal: Principal) -> list[EnergyInterval]:
    """A team's key states workloads and not what was seen."""
    if principal.meter_kind is not MeterKind.TRACKER:
        return intervals
    return [msgspec.structs.replace(interval, subject=None) for interval in intervals]


def _merged(intervals: list[EnergyInterval]) -> list[EnergyInterval]:
    """Those of one device, subject and time as one: several sensors of one part of a host."""
    merged: dict[tuple[str, int, int, str | None, str | None], EnergyInterval] = {}
    for one in intervals:
        key = (one.device, one.start_ms, one.end_ms, one.subject, one.workload)
        other = merged.get(key)
        if other is not None:
            one = msgspec.structs.replace(one, energy_mj=one.energy_mj + other.energy_mj)
        merged[key] = one
    return list(merged.values())


def _mapping_or_fault(path: Path | None) -> tuple[MetricMapping | None, InvalidInput | None]:
    try:
        return load_mapping(path), None
    except InvalidInput as fault:
        return None, fault


def _trouble_rows(source: str, troubles: Iterable[Trouble]) -> list[TroubleRow]:
    return [
        TroubleRow(source, t.code, t.about, t.detail, t.first_ms, t.last_ms, t.count)
        for t in troubles
    ]


def _track(row: TrackRow) -> Track:
    who = [(subject, workload) for subject, workload in msgspec.json.decode(row.who)]
    return Track(row.at_ms, row.value, row.host, who, row.seen_ms)


def _row(key: str, track: Track) -> TrackRow:
    who = msgspec.json.encode(track.who).decode()
    return TrackRow(key, track.at_ms, track.value, track.host, who, track.seen_ms)
