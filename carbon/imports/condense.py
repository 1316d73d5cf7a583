"""A history in the ledger's own grain: one row a bucket where nothing changes within it.

Exact: a row's energy is the sum of the pieces into which the ledger would have cut the readings'
intervals, so that the same time sent reading by reading comes to the same millijoule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from carbon.domain.energy import cut
from carbon.domain.units import BUCKET_MS, floor_to
from carbon.imports.mapping import Rule
from carbon.imports.tracks import BLANK_FROM, Track
from carbon.wire.energy import EnergyInterval

Ints = npt.NDArray[np.int64]
#: What energy is of: source, host and device.
DeviceKey = tuple[str, str, str]
#: Subject and workload.
Who = tuple[str | None, str | None]

_BRIDGED: Final = "bridged"
#: Products of energy and time, and totals, stay below 2^63 up to here.
_MOST_MJ_MS: Final = 1 << 62
_MOST_MJ: Final = 1 << 62


class Piece(msgspec.Struct):
    """What a device drew over [start, end) within one bucket, by whom."""

    start_ms: int
    end_ms: int
    method: str
    energy_mj: list[int]
    who: list[Who]

    def follows(self, other: Piece) -> bool:
        return (
            self.start_ms == other.end_ms
            and floor_to(self.start_ms, BUCKET_MS) == floor_to(other.start_ms, BUCKET_MS)
            and self.who == other.who
            and self.method == other.method
        )


class Run(NamedTuple):
    """What one subject drew of a device without a break: energy between marks."""

    #: The first reading, every mark after it, the last reading; empty where nothing moved.
    edges_ms: list[int]
    energy_mj: list[int]
    method: str
    who: Who


class Condenser:
    """Joins what follows each other. The last piece of each device stays open, across windows."""

    def __init__(self, open_: dict[str, Piece] | None = None) -> None:
        #: By the device's key, its parts joined.
        self.open = open_ or {}

    def add(self, key: DeviceKey, intervals: Iterable[EnergyInterval]) -> Iterator[EnergyInterval]:
        """Intervals of one device, from reading to reading."""
        groups: dict[tuple[int, int, str], list[EnergyInterval]] = defaultdict(list)
        for one in intervals:
            groups[one.start_ms, one.end_ms, one.method].append(one)
        for (start_ms, end_ms, method), parts in sorted(groups.items()):
            parts.sort(key=lambda one: (str(one.subject), str(one.workload)))
            if method == _BRIDGED:
                yield from self.close(key)
                yield from parts
                continue
            who = [(one.subject, one.workload) for one in parts]
            shares = [[p for _, _, p in cut(start_ms, end_ms, one.energy_mj)] for one in parts]
            for n, (lo, hi, _) in enumerate(cut(start_ms, end_ms, 0)):
                piece = Piece(lo, hi, method, [share[n] for share in shares], who)
                yield from self.join(key, piece)

    def join(self, key: DeviceKey, piece: Piece) -> Iterator[EnergyInterval]:
        before = self.open.get("|".join(key))
        if before is not None and piece.follows(before):
            before.end_ms = piece.end_ms
            before.energy_mj = [
                a + b for a, b in zip(before.energy_mj, piece.energy_mj, strict=True)
            ]
            return
        yield from self.close(key)
        self.open["|".join(key)] = piece

    def join_run(self, key: DeviceKey, run: Run) -> Iterator[EnergyInterval]:
        """As `join` of its pieces: those between the first and the last lie in buckets of their
        own and are rows at once."""
        edges, sums, (subject, workload) = run.edges_ms, run.energy_mj, run.who
        pieces = [
            Piece(edges[n], edges[n + 1], run.method, [sums[n]], [run.who])
            for n in sorted({0, len(sums) - 1})
            if sums
        ]
        for piece in pieces[:1]:
            yield from self.join(key, piece)
        if len(pieces) == 2:
            yield from self.close(key)
            for n in range(1, len(sums) - 1):
                yield EnergyInterval(
                    *(key[2], edges[n], edges[n + 1], sums[n]),
                    *(run.method, workload, None, subject),
                )
            yield from self.join(key, pieces[1])

    def close(self, key: DeviceKey) -> Iterator[EnergyInterval]:
        piece = self.open.pop("|".join(key), None)
        if piece is not None:
            yield from _rows(key[2], piece)

    def close_all(self) -> Iterator[tuple[DeviceKey, list[EnergyInterval]]]:
        for text in sorted(self.open):
            source, host, device = text.split("|", 2)
            key = (source, host, device)
            yield key, list(self.close(key))


def _rows(device: str, piece: Piece) -> Iterator[EnergyInterval]:
    for (subject, workload), energy_mj in zip(piece.who, piece.energy_mj, strict=True):
        yield EnergyInterval(
            device, piece.start_ms, piece.end_ms, energy_mj, piece.method, workload, None, subject
        )


def plain_run(
    rule: Rule, track: Track, at_ms: Ints, values: npt.NDArray[np.float64], who: Who
) -> Run | None:
    """The run of a counter that only rises, by whole arrays; moves the track on.

    None where anything wants a closer look: falls, blanks, silences, powers that cannot be,
    totals too large for a column, or somebody else at the start.
    """
    if rule.kind != "energy" or rule.parts or track.who != [who] or not len(at_ms):
        return None
    fresh = at_ms > track.seen_ms
    at_ms, values = at_ms[fresh], values[fresh]
    if not _are_readings(rule, values):
        return None
    times = np.concatenate(([track.at_ms], at_ms))
    readings = np.concatenate(([track.value], values))
    rises = np.diff(readings)
    if (rises < 0).any() or (np.diff(times) <= 0).any():
        return None
    seen_ms = int(times[-1])
    moved = np.concatenate(([True], rises > 0))
    times, readings = times[moved], readings[moved]
    if readings[-1] * rule.scale >= _MOST_MJ:
        return None
    totals = np.rint(readings * rule.scale).astype(np.int64)
    spans, amounts = np.diff(times), np.diff(totals)
    if len(spans) and not _is_plain(rule, spans, amounts):
        return None
    track.at_ms, track.value, track.seen_ms = int(times[-1]), float(readings[-1]), seen_ms
    if not len(spans):
        return Run([], [], "", who)
    return _cut_at_marks(times, totals, spans, amounts, rule.energy_method.label, who)


def _are_readings(rule: Rule, values: npt.NDArray[np.float64]) -> bool:
    """As `is_blank` has it of each; what is not a number is below nothing."""
    is_blank = ~(np.abs(values) < BLANK_FROM)
    return not (is_blank.any() or any((values == blank).any() for blank in rule.sentinels))


def _is_plain(rule: Rule, spans: Ints, amounts: Ints) -> bool:
    watts = amounts / spans
    return bool(
        (spans <= rule.gap_s * 1000).all()
        and (watts >= rule.min_w).all()
        and (watts <= rule.max_w).all()
        and int(amounts.max()) * int(spans.max()) < _MOST_MJ_MS
    )


def _cut_at_marks(
    times: Ints, totals: Ints, spans: Ints, amounts: Ints, method: str, who: Who
) -> Run:
    first = int(times[0]) // BUCKET_MS + 1
    marks = np.arange(first * BUCKET_MS, int(times[-1]), BUCKET_MS, dtype=np.int64)
    within = np.searchsorted(times, marks, side="right") - 1
    until = totals[within] + amounts[within] * (marks - times[within]) // spans[within]
    edges = np.concatenate((times[:1], marks, times[-1:])).tolist()
    sums = np.diff(np.concatenate((totals[:1], until, totals[-1:]))).tolist()
    return Run(edges, sums, method, who)
