"""Deltas of CodeCarbon's trackers on their way into the ledger: when, on which meter, whose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from uuid import UUID

from carbon.domain.energy import MeterKind, Method, cut
from carbon.domain.units import BUCKET_MS, MS_PER_DAY, MS_PER_S, floor_to
from carbon.services.ingest.frontier import Frontier
from carbon.services.trackers.host_addresses import agent_devices
from carbon.storage import energy, trackers
from carbon.storage.bulk import IntervalRow
from carbon.storage.dirty import mark_dirty
from carbon.storage.identities import Identities
from carbon.storage.interval_columns import columns_of
from carbon.storage.places import state_zone
from carbon.storage.rollups import buckets_of_device
from carbon.wire.codecarbon import RunBody

#: A tracker's duration is cut to whole seconds, and it waits up to 2 s for an answer.
_JITTER_MS = 2_500
#: A clock this far off, and steadily so, is corrected by our own.
_SKEW_FROM_MS = 60_000
_SKEW_STEADY_MS = 5_000
_HEAR_EVERY_MS = 10_000


@dataclass(slots=True)
class OpenRun:
    """An open run, as kept in memory."""

    number: int
    id: str
    team: str
    team_id: int
    key: str
    subject_id: int
    workload_id: int
    source_id: int
    details: RunBody
    address: str
    machine: str
    host_id: int | None
    zone: str | None
    skew_ms: int
    last_end_ms: int | None
    #: By kind: (device, meter, method); None for a part that is a cross-check alone.
    meters: dict[str, tuple[int, int, int] | None] = field(default_factory=dict)
    #: None before its first delta.
    lane: int | None = None

    heard_ms: int = 0

    def forget(self) -> None:
        """What was learnt in a transaction that was rolled back."""
        self.meters.clear()
        self.heard_ms = 0

    def hears(self, now_ms: int) -> bool:
        """Whether it is time to note again that its source is there."""
        if abs(now_ms - self.heard_ms) < _HEAR_EVERY_MS:
            return False
        self.heard_ms = now_ms
        return True


@dataclass(frozen=True, slots=True)
class Delta:
    run: OpenRun
    sent_ms: int
    received_ms: int
    span_ms: int
    parts: Mapping[str, int]
    claimed_ng: int
    raw: str
    #: None where nobody waits on it.
    answer: asyncio.Future[str] | None = None


class Lanes:
    """Runs of one machine that follow each other are one meter's, and those at the same time are
    several: of these the ledger counts one. Forgotten with the process, and then one lane holds
    all, in which the ledger still counts each moment once."""

    def __init__(self) -> None:
        self._end_ms: dict[str, list[int]] = {}

    def take(self, machine: str, start_ms: int) -> int:
        """The first lane in which nothing reaches beyond a start."""
        ends = self._end_ms.setdefault(machine, [])
        for lane, end_ms in enumerate(ends):
            if end_ms <= start_ms + _JITTER_MS:
                return lane
        ends.append(0)
        return len(ends) - 1

    def reach(self, machine: str, lane: int, end_ms: int) -> None:
        ends = self._end_ms.setdefault(machine, [])
        ends += [0] * (lane + 1 - len(ends))
        ends[lane] = max(ends[lane], end_ms)


#: A delta with its [start, end).
Placed = tuple[Delta, int, int]


class Write:
    """What the writer runs for some deltas, within its transaction."""

    def __init__(
        self, ids: Identities, frontier: Frontier, lanes: Lanes, placed: Sequence[Placed]
    ) -> None:
        self._ids = ids
        self._frontier = frontier
        self._placed = placed
        self._lanes = lanes
        self._rows: list[IntervalRow] = []
        self._dirty: set[tuple[int, int]] = set()

    def __call__(self) -> list[str]:
        emissions: dict[tuple[int, int], trackers.EmissionRow] = {}
        for post, start_ms, end_ms in self._placed:
            self._add(post, start_ms, end_ms)
            emissions.setdefault(
                (post.run.number, end_ms),
                (
                    *(post.run.number, end_ms, end_ms - start_ms),
                    *(sum(post.parts.values()), post.claimed_ng, post.raw),
                ),
            )
        connection = self._ids.connection
        if self._rows:
            if self._frontier.advance_rows(self._rows):
                self._ids.pending.add_new_rows(self._rows)
            else:
                columns = columns_of(self._rows)
                self._ids.pending.flush_rows(connection)
                written = energy.write_intervals(connection, columns)
                energy.keep_conflicts(connection, columns, written.contradictions, self._ids.now_ms)
            self._ids.pending.dirty.update(self._dirty)
        trackers.add_emissions(connection, list(emissions.values()))
        self._see()
        self._ids.take_created_devices()  # asked for by nobody here
        return [emission_id(post.run.number, end_ms) for post, _, end_ms in self._placed]

    def _add(self, post: Delta, start_ms: int, end_ms: int) -> None:
        run = post.run
        if run.lane is None:
            run.lane = self._lanes.take(run.machine, start_ms)
            if run.lane:
                name = f"{run.machine}/{run.lane}"
                run.source_id = self._ids.source(run.team_id, name, MeterKind.TRACKER)
        self._lanes.reach(run.machine, run.lane, end_ms)
        for kind, mj in post.parts.items():
            if kind not in run.meters:
                run.meters[kind] = self._meter(run, kind, start_ms)
            meter = run.meters[kind]
            if meter is None:
                continue
            device_id, meter_id, method = meter
            for lo, hi, part_mj in cut(start_ms, end_ms, mj):
                self._rows.append((hi, meter_id, run.subject_id, hi - lo, part_mj, method))
                self._dirty.add((floor_to(lo, BUCKET_MS), device_id))

    def _meter(self, run: OpenRun, kind: str, start_ms: int) -> tuple[int, int, int] | None:
        """Where the host has an agent, another meter of the same device, which counts where the
        agent saw nothing: it is called modelled, the least that CodeCarbon's figure may be. It
        sums what it sees of a kind, so that of several devices it is no meter at all."""
        ids, connection = self._ids, self._ids.connection
        metered = agent_devices(connection, run.host_id, kind) if run.host_id else {}
        if len(metered) > 1:
            return None
        if metered:
            device_id, method = next(iter(metered)), Method.MODELLED
        else:
            host_id = run.host_id or ids.host(f"{run.team}/{run.address}")
            device_id = ids.device(f"{run.machine}/{_part(run, kind)}", host_id, run.team_id)
            ids.describe_device(device_id, kind, _model(run.details, kind))
            method = Method.IMPORTED
            if run.zone is not None and state_zone(
                connection, device_id, run.zone, True, start_ms, ids.now_ms
            ):
                later = buckets_of_device(connection, device_id, start_ms)
                mark_dirty(connection, later)
        return device_id, ids.meter(device_id, run.source_id), int(method)

    def _see(self) -> None:
        """Runs grow, and sources were heard."""
        placed = self._placed
        connection = self._ids.connection
        runs: dict[str, trackers.RunRow] = {}
        for post, start_ms, end_ms in placed:
            run = post.run
            known = runs.get(run.key)
            if known is not None:
                start_ms, end_ms = min(known[3], start_ms), max(known[4], end_ms)
            runs[run.key] = (run.key, run.subject_id, run.workload_id, start_ms, end_ms)
        # In one order, so that no two servers wait for each other.
        trackers.widen_runs(connection, [runs[key] for key in sorted(runs)])
        heard = {
            post.run.source_id: (post.received_ms, post.sent_ms - post.received_ms)
            for post, _, _ in placed
            if post.run.hears(post.received_ms)
        }
        trackers.hear_sources(
            connection,
            [
                {"of_source": source_id, "last_seen_ms": seen_ms, "skew_ms": skew_ms}
                for source_id, (seen_ms, skew_ms) in heard.items()
            ],
        )


def placed_span(post: Delta) -> tuple[int, int]:
    """[start, end) of a delta. It ends when it was sent. Its duration is cut to whole seconds, so
    that it rather begins where the run's last one ended, if that fits."""
    run, end_ms = post.run, end_of(post)
    start_ms = end_ms - post.span_ms
    last_ms = run.last_end_ms
    if last_ms is None or last_ms >= end_ms:
        pass
    elif -_JITTER_MS <= start_ms - last_ms <= MS_PER_S + _JITTER_MS:
        start_ms = last_ms
    run.last_end_ms = max(end_ms, last_ms or 0)
    return start_ms, end_ms


def end_of(post: Delta) -> int:
    """By the client's clock; where that is off by minutes or hours, steadily since the run began,
    by ours. What is told days later is a replay, and its times are meant."""
    skew_ms = post.sent_ms - post.received_ms
    is_off = _SKEW_FROM_MS < abs(skew_ms) < MS_PER_DAY
    is_steady = abs(skew_ms - post.run.skew_ms) <= _SKEW_STEADY_MS
    return post.received_ms if is_off and is_steady else post.sent_ms


def emission_id(run_number: int, end_ms: int) -> str:
    """A UUID (version 8) that says which delta of which run: nothing to store or to look up."""
    return str(UUID(int=run_number << 80 | 8 << 76 | 2 << 62 | end_ms))


def emission_key(id_: str) -> tuple[int, int]:
    """(number of the run, end) of a delta. Raises ValueError for no UUID."""
    value = UUID(id_).int
    return value >> 80, value & (1 << 62) - 1


def _part(run: OpenRun, kind: str) -> str:
    """A tracker in process mode sees its process's share of the machine, but of whole GPUs: its
    share is a part of its own, to be added to others'."""
    is_shared = run.details.tracking_mode != "process" or kind == "gpu"
    return kind if is_shared else f"process-{run.lane}/{kind}"


def machine_of(body: RunBody, address: str) -> str:
    """All that tells one machine from another, as no host name is sent."""
    told = (address, body.os, body.cpu_model, body.cpu_count, body.ram_total_size)
    digest = blake2b(repr(told).encode(), digest_size=6).hexdigest()
    return f"codecarbon:{address}:{digest}"


def _model(details: RunBody, kind: str) -> str:
    """`1 x NVIDIA H100` is a known model; eight together are none that a factor is known of."""
    if kind == "cpu":
        return (details.cpu_model or "")[:200]
    if kind == "gpu":
        return (details.gpu_model or "").removeprefix("1 x ")[:200]
    if kind == "dram" and details.ram_total_size:
        return f"{details.ram_total_size:.0f} GiB"
    return ""
