"""A ledger under test: sends, rolls up and asks, without HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Table, delete, select

from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.domain.principal import Principal
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES
from carbon.services.context import Context
from carbon.services.grid.intensity import record_vintage
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.units import UnitIngest
from carbon.services.ingest.writer import Writer
from carbon.services.rollup.rollup import roll_up
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.storage.dirty import mark_dirty
from carbon.storage.engine import reading, writing
from carbon.storage.rollups import bucket
from carbon.wire.answer import SciAnswer
from carbon.wire.decode import decode_energy, decode_units
from carbon.wire.energy import IngestAnswer

#: 2026-03-02 12:00 UTC, a Monday.
NOON_MS = 1_772_452_800_000

ADMIN = Principal("k1", "admin", "default", ADMIN_SCOPES)
TEAM = Principal("k2", "team", "blue", TEAM_SCOPES)


@dataclass
class Ledger:
    context: Context
    seq: int = 0
    writer: Writer = field(init=False)

    def __post_init__(self) -> None:
        self.writer = Writer(self.context)
        self.writer.start()
        self.ingest = Ingest(self.context, self.writer)
        self.units = UnitIngest(self.context, self.writer)

    def close(self) -> None:
        self.writer.stop()

    def send(
        self, intervals: list[dict[str, Any]], principal: Principal = ADMIN, **batch: Any
    ) -> IngestAnswer:
        self.seq += 1
        body = {"source": "s", "boot_id": "b", "seq": self.seq, "intervals": intervals, **batch}
        raw = msgspec.json.encode(body)
        return self.ingest.submit(principal, decode_energy(raw), raw).result(timeout=10)

    def count(self, units: list[dict[str, Any]], principal: Principal = ADMIN) -> IngestAnswer:
        raw = msgspec.json.encode({"units": units})
        return self.units.submit(principal, decode_units(raw)).result(timeout=10)

    def intensity(
        self,
        start_ms: int,
        g_per_kwh: list[float],
        zone: str = "DE",
        step_ms: int = 3_600_000,
        published_ms: int | None = None,
        scope: EmissionScope = EmissionScope.LIFECYCLE,
        signal: Signal = Signal.AVERAGE,
    ) -> None:
        points = tuple(
            IntensityPoint(
                start_ms + i * step_ms, start_ms + (i + 1) * step_ms, g, PointKind.ACTUAL
            )
            for i, g in enumerate(g_per_kwh)
        )
        published = self.context.clock.now_ms() if published_ms is None else published_ms
        record_vintage(self.context, Vintage(zone, "meter", signal, scope, published, points))

    def sci(self, workload: str = "w", principal: Principal = ADMIN, **asked: Any) -> SciAnswer:
        return workload_sci(self.context, principal, Question(workload, **asked))

    def rows(self, table: Any) -> list[tuple[Any, ...]]:
        roll_up(self.context)
        with reading(self.context.engine) as connection:
            return sorted(tuple(row) for row in connection.execute(select(table)))

    def forget(self, tables: Sequence[Table]) -> None:
        """Nothing is rolled up in them, and all of it is to be."""
        with writing(self.context.engine) as connection:
            keys = select(bucket.c.start_ms, bucket.c.device_id).distinct()
            known = [(row[0], row[1]) for row in connection.execute(keys)]
            for table in tables:
                connection.execute(delete(table))
            mark_dirty(connection, known)


def interval(
    start_ms: int, end_ms: int, energy_mj: int, device: str = "gpu-0", **others: Any
) -> dict[str, Any]:
    return {
        "device": device,
        "start_ms": start_ms,
        "end_ms": end_ms,
        "energy_mj": energy_mj,
        "method": "counter",
        "workload": "w",
        **others,
    }
