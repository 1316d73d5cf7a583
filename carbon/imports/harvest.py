"""Reads series by a mapping: what they are worth in energy and counts, and what is wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import itemgetter
from typing import Final

from carbon.domain.energy import Method
from carbon.imports.mapping import MetricMapping, Misread, Placed
from carbon.imports.series import Series, is_stale
from carbon.imports.tracks import Rise, Track, advance, first_rise, is_blank, whole
from carbon.wire.energy import DeviceInfo, EnergyInterval, UnitCount

#: Clocks may be this far ahead of ours, as in a direct post.
_MAX_AHEAD_MS: Final = 300_000
#: Samples this much older than they should be are told: a clock behind, or a backlog.
_LATE_MS: Final = 600_000


@dataclass(slots=True)
class Trouble:
    """Something wrong with what was sent: told, and in no total."""

    code: str
    about: str
    detail: str
    first_ms: int
    last_ms: int
    count: int = 1


@dataclass
class Harvest:
    """What a set of series comes to."""

    #: By source and host.
    intervals: dict[tuple[str, str], list[EnergyInterval]] = field(
        default_factory=lambda: defaultdict(list)
    )
    devices: dict[str, DeviceInfo] = field(default_factory=dict)
    counts: list[UnitCount] = field(default_factory=list)
    #: Tracks that moved.
    moved: dict[str, Track] = field(default_factory=dict)
    troubles: dict[tuple[str, str], Trouble] = field(default_factory=dict)
    #: Samples that a rule reads.
    samples: int = 0

    def tell(self, code: str, about: str, detail: str, at_ms: int) -> None:
        known = self.troubles.get((code, about))
        if known is None:
            self.troubles[code, about] = Trouble(code, about, detail, at_ms, at_ms)
            return
        known.count += 1
        known.first_ms, known.last_ms = min(known.first_ms, at_ms), max(known.last_ms, at_ms)


_Reading = tuple[int, float, Placed]


class Reader:
    """Reads series that came one way, such as `remote-write`: the head of its sources' names."""

    def __init__(self, mapping: MetricMapping, way: str) -> None:
        self._mapping = mapping
        self._way = way

    def keys(self, series: Iterable[Series]) -> set[str]:
        """The tracks that a set of series moves on."""
        placed = (self._mapping.place(each.labels) for each in series)
        return {self.key(p) for p in placed if isinstance(p, Placed)}

    def key(self, placed: Placed) -> str:
        return f"{self._way}|{placed.track}"

    def source(self, placed: Placed) -> str:
        return f"{self._way}/{placed.title}"

    def read(
        self, series: Iterable[Series], tracks: MutableMapping[str, Track], now_ms: int
    ) -> Harvest:
        """`tracks` holds what is known of each key of `keys`, and is moved on.

        Series of one device are one track, however many pods repeat it; a reading not later
        than its track is one that was read already.
        """
        harvest = Harvest()
        together: dict[str, list[_Reading]] = defaultdict(list)
        spans: dict[str, tuple[int, int]] = {}
        for each in series:
            placed = self._mapping.place(each.labels)
            if isinstance(placed, Misread):
                at_ms = each.samples[-1].at_ms if each.samples else now_ms
                harvest.tell(placed.code, placed.about, placed.detail, at_ms)
            elif placed is not None:
                self._sort_in(harvest, each, placed, together, tracks, spans, now_ms)
        behind = self._note_late(harvest, spans, now_ms)
        for key, readings in together.items():
            if behind:
                readings = [one for one in readings if one[2].host not in behind]
            readings.sort(key=itemgetter(0))
            self._follow(harvest, key, readings, tracks)
        return harvest

    def _sort_in(
        self,
        harvest: Harvest,
        each: Series,
        placed: Placed,
        together: dict[str, list[_Reading]],
        tracks: MutableMapping[str, Track],
        spans: dict[str, tuple[int, int]],
        now_ms: int,
    ) -> None:
        key = self.key(placed)
        if each.delta_starts_ms is not None:
            self._take_deltas(harvest, each, placed, now_ms)
            return
        kept = together[key]
        for at_ms, value in each.samples:
            if _is_sound(harvest, placed, at_ms, value, now_ms):
                kept.append((at_ms, value, placed))
                first_ms, last_ms = spans.get(placed.host, (at_ms, at_ms))
                spans[placed.host] = (min(first_ms, at_ms), max(last_ms, at_ms))
        if each.since_ms is not None and key not in tracks and kept:
            at_ms, value, _ = kept[0]
            rise = first_rise(placed.rule, each.since_ms, at_ms, value)
            if rise is not None:
                self._keep(harvest, placed, rise, [(placed.subject, placed.workload)])

    def _take_deltas(self, harvest: Harvest, each: Series, placed: Placed, now_ms: int) -> None:
        assert each.delta_starts_ms is not None
        for start_ms, (at_ms, value) in zip(each.delta_starts_ms, each.samples, strict=True):
            if start_ms < at_ms and _is_sound(harvest, placed, at_ms, value, now_ms):
                rise = Rise(start_ms, at_ms, whole(placed.rule, value), False)
                self._keep(harvest, placed, rise, [(placed.subject, placed.workload)])

    def _follow(
        self,
        harvest: Harvest,
        key: str,
        readings: list[_Reading],
        tracks: MutableMapping[str, Track],
    ) -> None:
        track = tracks.get(key)
        for at_ms, value, placed in readings:
            who = (placed.subject, placed.workload)
            if track is None:
                track = tracks[key] = Track(at_ms, value, placed.host, [who], at_ms)
                harvest.samples += 1
                continue
            if placed.host != track.host and not _has_moved(harvest, placed, track, at_ms):
                continue
            if at_ms <= track.seen_ms:
                if at_ms == track.at_ms and who not in track.who:
                    track.who.append(who)
                continue
            harvest.samples += 1
            before, shared_by = track.at_ms, track.who
            rise = advance(track, placed.rule, at_ms, value, _teller(harvest, placed, at_ms))
            if rise is not None:
                self._keep(harvest, placed, rise, shared_by)
            if track.at_ms != before:
                track.who = [who]
        if track is not None and readings:
            harvest.moved[key] = track

    def _keep(
        self,
        harvest: Harvest,
        placed: Placed,
        rise: Rise,
        shared_by: list[tuple[str | None, str | None]],
    ) -> None:
        rule = placed.rule
        if rule.kind == "units":
            if rise.amount:
                harvest.counts.append(self._count(placed, rise))
            return
        source = self.source(placed)
        if placed.device not in harvest.devices:
            harvest.devices[placed.device] = DeviceInfo(placed.device, placed.kind, placed.model)
        method = Method.BRIDGED if rise.is_bridged else rule.energy_method
        if rise.is_bridged and not rule.parts:
            shared_by = [(None, None)]
        kept = harvest.intervals[source, placed.host]
        shared_by = sorted(shared_by, key=str) if len(shared_by) > 1 else shared_by
        parts = len(shared_by)
        for n, (subject, workload) in enumerate(shared_by):
            energy_mj = rise.amount * (n + 1) // parts - rise.amount * n // parts
            kept.append(
                EnergyInterval(
                    placed.device,
                    rise.start_ms,
                    rise.end_ms,
                    energy_mj,
                    method.label,
                    workload,
                    None,
                    subject,
                )
            )

    def _count(self, placed: Placed, rise: Rise) -> UnitCount:
        """Each series is a source of its own, and those of a rule add up: a workload's replicas."""
        family = f"prometheus/{placed.title}" if self._way in _PROMETHEUS else None
        family = family or self.source(placed)
        series = placed.track.rpartition("|")[2]
        assert placed.workload is not None
        return UnitCount(
            placed.workload,
            placed.rule.unit,
            f"{family}/{series}",
            rise.start_ms,
            rise.end_ms,
            rise.amount,
            family,
        )

    def _note_late(
        self, harvest: Harvest, spans: dict[str, tuple[int, int]], now_ms: int
    ) -> frozenset[str]:
        """The hosts with a clock behind: all that is told of such a one lies before whatever is
        told of others that are fresh. Where all are old, or reach back as far, it may as well be
        a backlog."""
        if self._way not in LIVE:
            return frozenset()
        late_ms = now_ms - _LATE_MS
        fresh_from_ms = min((lo for lo, hi in spans.values() if hi > late_ms), default=0)
        behind = set()
        for host, (_, at_ms) in spans.items():
            if at_ms > late_ms:
                continue
            late = f"its newest reading came {(now_ms - at_ms) // 60_000} min late"
            if at_ms < fresh_from_ms:
                behind.add(host)
                detail = f"{late}, and others' did not: not counted until its clock is right"
                harvest.tell("clock_behind", host, detail, at_ms)
            else:
                harvest.tell("late_samples", host, late, at_ms)
        return frozenset(behind)


#: Ways that bring readings as they are taken, and not a history.
LIVE: Final = frozenset({"remote-write", "otlp", "scrape"})
#: Ways that bring the same readings of the same Prometheus: what both bring is the same row.
_PROMETHEUS: Final = frozenset({"remote-write", "prometheus"})


def _is_sound(harvest: Harvest, placed: Placed, at_ms: int, value: float, now_ms: int) -> bool:
    about = placed.device or placed.workload or placed.title
    if is_blank(value, placed.rule):
        if not is_stale(value):
            harvest.tell("sentinel", about, f"{placed.rule.metric} is {value:g}, no value", at_ms)
        return False
    if value < 0:
        harvest.tell("negative", about, f"{placed.rule.metric} is {value:g}", at_ms)
        return False
    if at_ms > now_ms + _MAX_AHEAD_MS:
        ahead_min = (at_ms - now_ms) // 60_000
        detail = f"{placed.rule.metric} was read {ahead_min} min from now: a clock ahead"
        harvest.tell("from_the_future", placed.host or about, detail, now_ms)
        return False
    return True


def _has_moved(harvest: Harvest, placed: Placed, track: Track, at_ms: int) -> bool:
    """A device that another host reports is that host's once the first has fallen silent."""
    if at_ms - track.seen_ms > _LATE_MS:
        track.host = placed.host
        return True
    detail = f"both {track.host} and {placed.host} report it; the first counts"
    harvest.tell("device_on_two_hosts", placed.device or placed.title, detail, at_ms)
    return False


def _teller(harvest: Harvest, placed: Placed, at_ms: int) -> Callable[[str, str], None]:
    about = placed.device or placed.workload or placed.title

    def tell(code: str, detail: str) -> None:
        harvest.tell(code, about, f"{placed.rule.metric} {detail}", at_ms)

    return tell


def content_seq(body: bytes) -> int:
    """A number that a body has and no other: the sequence of a sender that counts none."""
    return int.from_bytes(blake2b(body, digest_size=8).digest(), "big") >> 11


def in_batches(items: list[EnergyInterval], most: int) -> Iterator[list[EnergyInterval]]:
    for first in range(0, len(items), most):
        yield items[first : first + most]
