"""What the meters show becomes intervals of named subjects, second by second, on disk.

The loop calls `step` at the sampling rate. Runs start and end through other threads, which is
why every public method takes the lock.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import Counter
from contextlib import suppress

from carbon.clock import Clock
from carbon.collect.attributor import Attributor
from carbon.collect.batches import Identity, device_infos
from carbon.collect.faults import Fault, FaultKind
from carbon.collect.journal import Journal, JournalFile
from carbon.collect.odometer import Closed
from carbon.collect.period import Period
from carbon.collect.period_file import PeriodFile
from carbon.collect.protocol import MeterUsed, RunEnded, RunStarted
from carbon.collect.recovery import bridged
from carbon.collect.runs import Run, Runs
from carbon.collect.sampler import Sampler
from carbon.collect.schedule import NS_PER_S
from carbon.collect.source import Device
from carbon.collect.spool import Spool
from carbon.collect.suspend import SuspendWatch
from carbon.collect.wall import NS_PER_MS, WallLine
from carbon.domain.units import PPM, floor_to
from carbon.wire.energy import EnergyInterval, ReservationInfo

log = logging.getLogger(__name__)

TICK_NS = NS_PER_S
#: Looks come on marks of a schedule and are late by a little: the next second's may be less so.
_EARLY_NS = NS_PER_S // 20
REFRESH_NS = 30 * NS_PER_S
#: Under which name, and how often, what was learned of idle devices is kept.
IDLE_POWER, KEEP_IDLE_NS = "idle_power", 60 * NS_PER_S
#: Kept in memory while the disk takes nothing: hours, even of a large machine.
UNSAVED_INTERVALS = 100_000


class Recorder:
    def __init__(
        self,
        identity: Identity,
        sampler: Sampler,
        attributor: Attributor,
        spool: Spool,
        clock: Clock,
        period_ms: int = 10_000,
        suspends: SuspendWatch | None = None,
    ) -> None:
        self.identity, self.sampler, self.attributor = identity, sampler, attributor
        self.spool, self.clock, self.period_ms = spool, clock, period_ms
        self.suspends = suspends or SuspendWatch()
        self.runs = Runs(spool.db)
        self._file = PeriodFile(identity, spool, self.runs, JournalFile(spool.db))
        self._line = WallLine(clock)
        self._period = Period()
        #: Where each device's last interval ended.
        self._end_ms: dict[str, int] = {}
        #: What each device drew since this agent started, and had drawn when each run started.
        self._drawn_mj: Counter[str] = Counter()
        self._drawn_before_mj: dict[str, Counter[str]] = {}
        self._unsaved: list[EnergyInterval] = []
        self._reservations: list[ReservationInfo] = []
        self._ticked_ms = self._tick_at_ns = self._period_end_ns = self._refresh_at_ns = 0
        self._keep_idle_at_ns = 0
        self._lock = threading.RLock()

    def start(self) -> None:
        """Spools what an agent before us left open, bridges the gap since, opens a period."""
        with self._lock:
            left = self._file.take_over()
            if left is not None:
                # The line goes on where the journal ended: nothing new may lie before it.
                self._line = WallLine(self.clock, not_before_ms=left.at_ms)
            now_ns = self.clock.monotonic_ns()
            # Where the meters were looked at before all else, energy is known from then on.
            if not self.sampler.seen_ns:
                self.sampler.refresh()
                self.sampler.look()
            self._refresh_at_ns = now_ns + REFRESH_NS
            self._look_at_processes()
            if left is not None:
                self._bridge(left)
            # The journal is of when its counters are: killed now, the next one bridges from there.
            first_ns = min(self.sampler.seen_ns.values(), default=now_ns)
            self._ticked_ms = self._line.at_ms(first_ns)
            self._open_period(now_ns)
            self._save()

    def step(self) -> None:
        """One look; each second one step of attribution; at its mark the end of the period."""
        with self._lock:
            self.sampler.look()
            now_ns = self.clock.monotonic_ns()
            if slept_ns := self.suspends.slept_ns():
                self._wake(now_ns, slept_ns)
            if now_ns >= self._refresh_at_ns or self.sampler.sees_unlisted:
                self._refresh(now_ns)
            if now_ns >= self._period_end_ns:
                is_late = now_ns - self._period_end_ns > self.period_ms * NS_PER_MS
                self._close_period(now_ns if is_late else self._period_end_ns)
            elif now_ns >= self._tick_at_ns - _EARLY_NS:
                self._tick(now_ns)
                self._file.write_journal(self._journal_of(self._unsaved + self._period.intervals()))

    def close_period(self) -> int:
        """Ends the period at this instant and spools it. Returns the instant's wall ms."""
        with self._lock:
            self.sampler.look()
            return self._close_period(self.clock.monotonic_ns())

    def start_run(
        self, run: str, workload: str | None, pid: int = 0, reserve: bool = False
    ) -> RunStarted:
        """A run that is known already goes on as it is."""
        with self._lock:
            known = self.runs.get(run)
            if known is not None:
                return RunStarted(known.start_ms, known.reserve)
            at_ms = self.close_period()
            process = self.attributor.process(pid) or self.attributor.table.find(pid)
            granted = reserve and self.runs.holder is None
            started = process.started if process else 0.0
            self.runs.start(Run(run, workload, pid, started, granted, at_ms))
            self._drawn_before_mj[run] = self._drawn_mj.copy()
            self._tick_at_ns = min(self._tick_at_ns, self.clock.monotonic_ns() + self._tick_ns)
            self._register_runs()
            log.info("run %s of %s starts", run, workload)
            return RunStarted(at_ms, granted)

    def end_run(self, run: str) -> RunEnded | None:
        """Everything attributed to the run since its start; None where no such run is known."""
        with self._lock:
            known = self.runs.get(run)
            if known is None:
                return None
            at_ms = self._close_run(known)
            intervals = self.runs.energy(run)
            self.runs.end(run)
            self._register_runs()
            log.info("run %s ends with %d mJ", run, sum(i.energy_mj for i in intervals))
            before_mj = self._drawn_before_mj.pop(run, None)
            meters = self._meters_of(intervals, before_mj)
            return RunEnded(at_ms, known.start_ms, intervals, meters)

    def now_ms(self) -> int:
        """The wall time that intervals are stamped with."""
        with self._lock:
            return self._line.at_ms(self.clock.monotonic_ns())

    @property
    def next_mark_ns(self) -> int:
        """The end of the open period: looks are scheduled to fall on it."""
        return self._period_end_ns

    def _wake(self, now_ns: int, slept_ns: int) -> None:
        """What was drawn up to the sleep belongs before it, so the period ends with it; the next
        one begins at the wall's new time."""
        detail = f"the machine slept for {slept_ns / NS_PER_S:.0f} s: nothing is known of that time"
        self.sampler.note(Fault(FaultKind.SUSPEND, "all", now_ns, detail))
        self._close_period(now_ns)
        self._refresh_at_ns = now_ns

    @property
    def _tick_ns(self) -> int:
        """Twice a second while a run is on: its processes may live for less than a second."""
        return TICK_NS // 2 if self.runs.active else TICK_NS

    def _open_period(self, at_ns: int) -> None:
        next_ms = floor_to(self._line.at_ms(at_ns), self.period_ms) + self.period_ms
        self._period_end_ns = self._line.ns_of(next_ms)
        self._tick_at_ns = at_ns + self._tick_ns

    def _close_period(self, at_ns: int) -> int:
        at_ms = self._tick(at_ns)
        self._unsaved += self._period.intervals()
        self._period.clear()
        self._save()
        set_by_ms = self._line.pair(at_ns)
        if set_by_ms:
            log.warning("the wall clock was set by %d ms", set_by_ms)
        self._open_period(at_ns)
        return at_ms

    def _tick(self, at_ns: int) -> int:
        """Attributes what was drawn since the last tick. Returns the moment's wall ms."""
        at_ms = self._line.at_ms(at_ns)
        self._tick_at_ns = at_ns + self._tick_ns
        if at_ms > self._ticked_ms:
            self._ticked_ms = at_ms
            self._look_at_processes()
            for device, closed in self.sampler.close(at_ns):
                self._add(device, closed)
        return at_ms

    def _add(self, device: Device, closed: Closed) -> None:
        end_ms = self._line.at_ms(closed.end_ns)
        start_ms = max(self._line.at_ms(closed.start_ns), self._end_ms.get(device.uuid, 0))
        self._end_ms[device.uuid] = max(start_ms, end_ms)
        self._drawn_mj[device.uuid] += closed.energy_mj
        holder = self.runs.holder
        subject = holder.subject if holder else None
        shares = self.attributor.shares(device, closed, end_ms, subject)
        self._period.add(device.uuid, closed.method, start_ms, end_ms, shares)

    def _look_at_processes(self) -> None:
        self.attributor.look()
        seen = self.attributor.seen_runs
        for run in self.runs.active:
            process = self.attributor.process(run.pid)
            is_alive = process is not None and process.started == run.pid_started
            if run.pid_started and not is_alive and run.run not in seen:
                log.warning("run %s was left by its process %d", run.run, run.pid)
                self._reserve(run, self.now_ms())
                self.runs.end(run.run)
                self._drawn_before_mj.pop(run.run, None)
        self._register_runs()

    def _close_run(self, run: Run) -> int:
        self._reserve(run, self.now_ms())
        return self.close_period()

    def _reserve(self, run: Run, end_ms: int) -> None:
        """States who held the devices; the batch that is spooled next carries it."""
        if run.reserve and end_ms > run.start_ms:
            self._reservations += [
                ReservationInfo(uuid, run.start_ms, end_ms, PPM, run.workload, run.run)
                for uuid in self.sampler.devices
            ]

    def _register_runs(self) -> None:
        # A process that starts a second run draws for that one until it ends.
        active = self.runs.active
        self.attributor.subjects.register(
            [run.subject for run in active],
            {run.pid: run.subject for run in active if run.pid_started},
        )

    def _refresh(self, now_ns: int) -> None:
        self.sampler.refresh()
        self._refresh_at_ns = now_ns + REFRESH_NS

    def _save(self) -> None:
        devices = device_infos(self.sampler.devices)
        if self._file.save(self._unsaved, self._reservations, devices, self._journal_of([])):
            self._unsaved = []
            self._reservations = []
            self._keep_idle_power()
        else:
            del self._unsaved[:-UNSAVED_INTERVALS]

    def _keep_idle_power(self) -> None:
        """Once in a while, and only where the disk takes it."""
        now_ns = self.clock.monotonic_ns()
        if now_ns < self._keep_idle_at_ns:
            return
        self._keep_idle_at_ns = now_ns + KEEP_IDLE_NS
        with suppress(sqlite3.Error):
            self.spool.db.set_meta(IDLE_POWER, self.attributor.idle.encoded())

    def _journal_of(self, intervals: list[EnergyInterval]) -> Journal:
        return Journal(
            boot_id=self.identity.boot_id,
            at_ms=self._ticked_ms,
            intervals=intervals,
            devices=list(device_infos(self.sampler.devices).values()),
            counters=self.sampler.closed_counters(),
        )

    def _meters_of(
        self, intervals: list[EnergyInterval], before_mj: Counter[str] | None
    ) -> list[MeterUsed]:
        devices = self.sampler.devices
        used = {(interval.device, interval.method): None for interval in intervals}
        return [
            MeterUsed(
                uuid,
                devices[uuid].kind.value,
                devices[uuid].model,
                method,
                None if before_mj is None else self._drawn_mj[uuid] - before_mj[uuid],
            )
            for uuid, method in used
            if uuid in devices
        ]

    def _bridge(self, left: Journal) -> None:
        holder = self.runs.holder
        seen_ms = {uuid: self._line.at_ms(ns) for uuid, ns in self.sampler.seen_ns.items()}
        self._unsaved += bridged(
            left, self.identity.boot_id, seen_ms, self.sampler, holder.subject if holder else None
        )
