"""A host in miniature: scripted meters and processes, a fake clock, and a recorder over a real
spool file, which can be killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent_double.meters import ScriptedMeter, ScriptedSource
from agent_double.processes import ScriptedProcesses
from carbon.clock import FakeClock
from carbon.collect.attributor import Attributor
from carbon.collect.batches import Identity
from carbon.collect.processes import ProcessTable
from carbon.collect.recorder import Recorder
from carbon.collect.sampler import Sampler
from carbon.collect.spool import BodyKind, Spool
from carbon.collect.spool_db import SpoolDb
from carbon.collect.suspend import SuspendWatch
from carbon.wire.energy import EnergyBatch, EnergyInterval

#: A multiple of every period that the tests use.
START_MS = 1_700_000_000_000 - 1_700_000_000_000 % 300_000


@dataclass
class ScriptedHost:
    path: Path
    meters: list[ScriptedMeter] = field(default_factory=lambda: [ScriptedMeter()])
    clock: FakeClock = field(default_factory=lambda: FakeClock(START_MS))
    processes: ScriptedProcesses = field(default_factory=ScriptedProcesses)
    boot_id: str = "boot-1"
    period_ms: int = 10_000
    #: How long the machine has been suspended since its boot.
    asleep_ns: int = 0

    def __post_init__(self) -> None:
        self.source = ScriptedSource(self.clock, self.meters)

    def start(self, loading_s: float = 0.0) -> Recorder:
        """`loading_s`: between the first look and all else, as of a real agent."""
        self.sampler = Sampler([self.source])
        if loading_s:
            self.sampler.refresh()
            self.sampler.look()
            self.pause(loading_s)
        self.spool = Spool(SpoolDb(self.path))
        self.recorder = Recorder(
            identity=Identity("agent-test", self.boot_id, "host-1", "DE"),
            sampler=self.sampler,
            attributor=Attributor(self.sampler, ProcessTable(self.processes)),
            spool=self.spool,
            clock=self.clock,
            period_ms=self.period_ms,
            suspends=SuspendWatch(lambda: self.asleep_ns),
        )
        self.recorder.start()
        return self.recorder

    def kill(self) -> None:
        """As kill -9 does: nothing is closed or written any more."""
        self.spool.db.close()

    def run(self, seconds: float, look_s: float = 0.1) -> None:
        for _ in range(round(seconds / look_s)):
            self.clock.advance(look_s)
            self.recorder.step()

    def pause(self, seconds: float) -> None:
        """Nobody looks; the meters run on."""
        self.clock.advance(seconds)
        self.source.advance()

    def suspend(self, seconds: float) -> None:
        """Neither meters nor the monotonic clock run on; the wall clock does."""
        self.asleep_ns += round(seconds * 1e9)
        self.clock.step_wall_ms(round(seconds * 1000))

    def batches(self) -> Iterator[EnergyBatch]:
        for batch in self.spool.pending(10_000, 1 << 53):
            if batch.kind is BodyKind.ENERGY:
                yield msgspec.json.decode(batch.request_body(0), type=EnergyBatch)

    def intervals(self, device: str | None = None) -> list[EnergyInterval]:
        """Everything in the spool, in order of its writing."""
        return [
            interval
            for batch in self.batches()
            for interval in batch.intervals
            if device in (None, interval.device)
        ]

    def energy_mj(self, **members: object) -> int:
        """Sum over the intervals that have these members."""
        return sum(
            interval.energy_mj
            for interval in self.intervals()
            if all(getattr(interval, name) == value for name, value in members.items())
        )
