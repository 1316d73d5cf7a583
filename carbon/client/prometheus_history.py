"""`carbon import prometheus`: what a Prometheus server remembers, window by window.

Each window begins where the one before ended; how far it came stands in a file beside the
agent's, written once the server has acknowledged the window. Begun again, an import goes on from
there, and from the start it sends the same rows once more: they are duplicates.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from carbon.client.bringing import Bringer, Brought
from carbon.client.http import Client
from carbon.errors import InvalidInput
from carbon.imports.condense import Condenser, DeviceKey, Piece, Run, plain_run
from carbon.imports.harvest import Harvest, Reader, content_seq, in_batches
from carbon.imports.mapping import MetricMapping, Misread, Placed
from carbon.imports.prometheus_api import MOST_POINTS, PrometheusApi
from carbon.imports.series import Readings, Series
from carbon.imports.tracks import Track, is_blank
from carbon.settings import make_private_dir
from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval, IngestAnswer

_WINDOW_MS: Final = 6 * 3_600_000
_ROWS_AT_ONCE: Final = 10_000
#: Calls on their way: those that wait for the server share a commit and a cold file there.
_AT_ONCE: Final = 8


class Progress(msgspec.Struct):
    """How far an import came."""

    next_ms: int
    #: Whether every reading so far came with its own time.
    is_exact: bool = True
    tracks: dict[str, Track] = {}
    open: dict[str, Piece] = {}


@dataclass
class Result(Brought):
    """What an import did; counts of this call alone."""

    points: int = 0
    #: Whether every reading came with its own time, and not the query's.
    is_exact: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """What to import: [since, until) by `step`, all ms."""

    since_ms: int
    until_ms: int
    step_ms: int

    def parts(self, from_ms: int) -> Iterator[tuple[int, int]]:
        long_ms = min(_WINDOW_MS, (MOST_POINTS - 1) * self.step_ms) // self.step_ms * self.step_ms
        at_ms = from_ms
        while at_ms < self.until_ms:
            yield at_ms, min(at_ms + long_ms, self.until_ms)
            at_ms += long_ms


class PrometheusHistory:
    """One import from one server of Prometheus to one of carbon."""

    def __init__(
        self,
        api: PrometheusApi,
        client: Client,
        mapping: MetricMapping,
        window: Window,
        progress_file: Path,
    ) -> None:
        if window.until_ms <= window.since_ms:
            raise InvalidInput("end_before_start", "--until must lie after --since")
        self._api = api
        self._mapping = mapping
        self._window = window
        self._file = progress_file
        self._result = Result()
        self._bringer = Bringer(client, "prometheus", self._result)
        self._sent_devices: set[str] = set()

    def run(self, tell: Callable[[int, int], None] = lambda done_ms, whole_ms: None) -> Result:
        """Imports what is left; `tell` hears how much is done after each window."""
        started = time.monotonic()
        progress = self._begin()
        metrics = self._known_metrics()
        parts = list(self._window.parts(progress.next_ms))
        with ThreadPoolExecutor(_AT_ONCE, "prometheus") as pool:
            coming = pool.submit(self._fetch, metrics, parts[0]) if parts else None
            for n, part in enumerate(parts):
                assert coming is not None
                series, is_exact = coming.result()
                following = parts[n + 1] if n + 1 < len(parts) else None
                coming = pool.submit(self._fetch, metrics, following) if following else None
                progress.is_exact &= is_exact
                self._take(pool, progress, series, part[1], is_last=following is None)
                tell(part[1] - self._window.since_ms, self._window.until_ms - self._window.since_ms)
        self._result.is_exact = progress.is_exact
        self._result.seconds = time.monotonic() - started
        return self._result

    def _begin(self) -> Progress:
        try:
            known = msgspec.json.decode(self._file.read_bytes(), type=Progress)
        except (OSError, msgspec.DecodeError):
            return Progress(self._window.since_ms)
        return known if known.next_ms >= self._window.since_ms else Progress(self._window.since_ms)

    def _known_metrics(self) -> list[str]:
        """Those of the mapping that the server has; what it has and no rule reads is told."""
        there = self._api.metrics()
        now_ms = self._window.until_ms
        harvest = Harvest()
        for metric in sorted(there):
            misread = self._mapping.place({"__name__": metric})
            if isinstance(misread, Misread) and misread.code == "unmapped_metric":
                harvest.tell(misread.code, misread.about, misread.detail, now_ms)
        self._bringer.tell(harvest)
        return sorted(self._mapping.metrics & there if there else self._mapping.metrics)

    def _fetch(self, metrics: Sequence[str], part: tuple[int, int]) -> tuple[list[Series], bool]:
        series: list[Series] = []
        is_exact = True
        for metric in metrics:
            found, exact = self._api.readings(metric, *part, self._window.step_ms)
            series += found
            is_exact &= exact
        return series, is_exact

    def _take(
        self,
        pool: ThreadPoolExecutor,
        progress: Progress,
        series: list[Series],
        end_ms: int,
        is_last: bool,
    ) -> None:
        """One window: worked out, sent, and only then noted as done."""
        # Counts at a query's own times are others than those at the readings'.
        reader = Reader(self._mapping, "prometheus" if progress.is_exact else "prometheus-grid")
        condenser = Condenser(progress.open)
        rows: dict[DeviceKey, list[EnergyInterval]] = defaultdict(list)
        closer = self._take_plain(reader, progress, series, condenser, rows)
        harvest = reader.read(closer, progress.tracks, self._window.until_ms)
        for (source, host), intervals in harvest.intervals.items():
            by_device: dict[str, list[EnergyInterval]] = defaultdict(list)
            for one in intervals:
                by_device[one.device].append(one)
            for device, theirs in by_device.items():
                key = (source, host, device)
                rows[key] += condenser.add(key, theirs)
        if is_last:
            for key, left in condenser.close_all():
                rows[key] += left
        self._result.points += sum(len(each.samples) for each in series)
        self._send(pool, rows, self._devices(series), harvest, end_ms)
        self._bringer.tell(harvest)
        progress.next_ms, progress.open = end_ms, condenser.open
        self._note(progress)

    def _take_plain(
        self,
        reader: Reader,
        progress: Progress,
        series: list[Series],
        condenser: Condenser,
        rows: dict[DeviceKey, list[EnergyInterval]],
    ) -> list[Series]:
        """Works out counters that only rise as whole arrays; answers what wants a closer look."""
        by_track: dict[str, list[tuple[Series, Placed]]] = defaultdict(list)
        closer: list[Series] = []
        for each in series:
            placed = self._mapping.place(each.labels)
            if isinstance(placed, Placed):
                by_track[reader.key(placed)].append((each, placed))
            else:
                closer.append(each)
        for track_key, together in by_track.items():
            track = progress.tracks.get(track_key)
            each, placed = together[0]
            run = None
            if len(together) == 1:
                run = self._plain(progress, track_key, track, each, placed)
            if run is None:
                closer += [one for one, _ in together]
                continue
            key = (reader.source(placed), placed.host, placed.device)
            rows[key] += condenser.join_run(key, run)
        return closer

    def _plain(
        self, progress: Progress, key: str, track: Track | None, each: Series, placed: Placed
    ) -> Run | None:
        if track is not None and track.host != placed.host:
            return None
        if not isinstance(each.samples, Readings):
            return None
        who = (placed.subject, placed.workload)
        at_ms, values = each.samples.at_ms, each.samples.values
        if track is None:
            if not len(values) or is_blank(float(values[0]), placed.rule) or values[0] < 0:
                return None
            track = Track(int(at_ms[0]), float(values[0]), placed.host, [who], int(at_ms[0]))
        run = plain_run(placed.rule, track, at_ms, values, who)
        if run is not None:
            progress.tracks[key] = track
        return run

    def _devices(self, series: list[Series]) -> dict[str, DeviceInfo]:
        """Those not described yet."""
        found = {}
        for each in series:
            placed = self._mapping.place(each.labels)
            if isinstance(placed, Placed) and placed.device not in self._sent_devices:
                found[placed.device] = DeviceInfo(placed.device, placed.kind, placed.model)
        found.pop("", None)
        self._sent_devices |= found.keys()
        return found

    def _send(
        self,
        pool: ThreadPoolExecutor,
        rows: dict[DeviceKey, list[EnergyInterval]],
        devices: dict[str, DeviceInfo],
        harvest: Harvest,
        end_ms: int,
    ) -> None:
        by_host: dict[tuple[str, str], list[EnergyInterval]] = defaultdict(list)
        for (source, host, _), intervals in rows.items():
            by_host[source, host] += intervals
        waiting: list[Future[IngestAnswer]] = []
        for (source, host), intervals in by_host.items():
            intervals.sort(key=lambda one: (one.start_ms, one.device))
            self._result.intervals += len(intervals)
            for some in in_batches(intervals, _ROWS_AT_ONCE):
                told = {one.device for one in some} & devices.keys()
                infos = [devices[device] for device in sorted(told)]
                batch = _batch(source, host, some, infos)
                waiting.append(pool.submit(self._bringer.energy, batch))
        for sent in waiting:
            self._bringer.add_up(sent.result(), harvest, end_ms)
        for first in range(0, len(harvest.counts), _ROWS_AT_ONCE):
            some_counts = harvest.counts[first : first + _ROWS_AT_ONCE]
            self._result.counts += len(some_counts)
            self._bringer.add_up(self._bringer.units(some_counts), harvest, end_ms)

    def _note(self, progress: Progress) -> None:
        make_private_dir(self._file.parent)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(progress))
        fresh.replace(self._file)


def progress_file(
    folder: Path, url: str, server: str, since: str, step_ms: int, mapping: MetricMapping
) -> Path:
    """Another address, start, step or mapping is another import."""
    told = "\0".join((url, server, since, str(step_ms), mapping.digest))
    return folder / f"prometheus-{blake2b(told.encode(), digest_size=8).hexdigest()}.json"


def _batch(
    source: str, host: str, intervals: list[EnergyInterval], devices: list[DeviceInfo]
) -> EnergyBatch:
    seq = content_seq(msgspec.json.encode(intervals))
    return EnergyBatch(
        source, "history", seq, intervals, host=host or None, is_import=True, devices=devices
    )
