"""A ledger made for measuring: sent through the service's own ingest, without HTTP."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from msgspec import json

from carbon.clock import FakeClock
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.domain.units import MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.grid.intensity import store_vintage
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.units import UnitIngest
from carbon.services.ingest.writer import Writer
from carbon.settings import Settings
from carbon.storage.engine import create_engine
from carbon.storage.migrations import upgrade
from carbon.wire.decode import decode_energy, decode_units
from carbon.wire.energy import DeviceInfo, EnergyBatch, EnergyInterval, UnitBatch, UnitCount

ADMIN: Final = Principal("bench", "bench", "default", ADMIN_SCOPES)
#: 2026-03-02 00:00 UTC.
BEGIN_MS: Final = 1_772_409_600_000
_PER_BATCH: Final = 5_000


@dataclass
class MadeLedger:
    context: Context
    writer: Writer
    _seq: Iterator[int] = field(default_factory=itertools.count)

    def send(self, devices: Sequence[DeviceInfo], intervals: Sequence[EnergyInterval]) -> None:
        ingest = Ingest(self.context, self.writer)
        for at in range(0, len(intervals), _PER_BATCH):
            part = list(intervals[at : at + _PER_BATCH])
            batch = EnergyBatch("bench", "b", next(self._seq), part, devices=list(devices))
            raw = json.encode(batch)
            ingest.submit(ADMIN, decode_energy(raw), raw).result(timeout=60)

    def count(self, counts: Sequence[UnitCount]) -> None:
        raw = json.encode(UnitBatch(list(counts)))
        UnitIngest(self.context, self.writer).submit(ADMIN, decode_units(raw)).result(timeout=60)

    def intensity(self, g_per_kwh: Sequence[float], start_ms: int = BEGIN_MS) -> None:
        """One actual figure an hour."""
        points = tuple(
            IntensityPoint(
                start_ms + i * MS_PER_HOUR, start_ms + (i + 1) * MS_PER_HOUR, g, PointKind.ACTUAL
            )
            for i, g in enumerate(g_per_kwh)
        )
        average, life = Signal.AVERAGE, EmissionScope.LIFECYCLE
        now_ms = self.context.clock.now_ms()
        store_vintage(self.context, Vintage("DE", "meter", average, life, now_ms, points))


@contextmanager
def made_ledger(now_ms: int) -> Iterator[MadeLedger]:
    """An empty ledger on a SQLite file, whose clock stands at `now_ms`."""
    with tempfile.TemporaryDirectory() as folder:
        engine = create_engine(f"sqlite:///{Path(folder) / 'sci.db'}")
        upgrade(engine)
        settings = Settings(data_dir=Path(folder), feeds=False, zone="DE")
        context = Context(engine, settings, FakeClock(now_ms))
        writer = Writer(context)
        writer.start()
        try:
            yield MadeLedger(context, writer)
        finally:
            writer.stop()
            engine.dispose()
