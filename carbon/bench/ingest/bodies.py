"""What clients send: batches of one source after the other, as JSON and as Arrow."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from carbon.clock import SystemClock
from carbon.domain.units import MS_PER_DAY, floor_to

STEP_MS = 10_000
DEVICES = 100
_WORKLOADS = 20
ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Rows:
    """`rows` 10 s intervals of 100 devices (of one where there are fewer rows), each batch later
    than the one before. A client is a source with devices of its own."""

    client: str
    rows: int
    #: Where it begins, from the first of all on.
    after_ms: int = 0

    def columns(self, seq: int) -> dict[str, list[int] | list[str]]:
        devices = DEVICES if self.rows >= DEVICES else 1
        steps = self.rows // devices
        first_ms = _first_ms() + self.after_ms + seq * steps * STEP_MS
        starts = [first_ms + i // devices * STEP_MS for i in range(self.rows)]
        return {
            "device": [f"GPU-{self.client}-{i % devices:08x}" for i in range(self.rows)],
            "workload": [f"w{i % _WORKLOADS}" for i in range(self.rows)],
            "start_ms": starts,
            "end_ms": [start + STEP_MS for start in starts],
            "energy_mj": [3_000_000 + i for i in range(self.rows)],
            "method": ["counter"] * self.rows,
        }

    def json(self, seq: int) -> bytes:
        columns = self.columns(seq)
        intervals = [
            dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
        ]
        head = {"source": self.client, "boot_id": "b", "seq": seq}
        return msgspec.json.encode({**head, "intervals": intervals})

    def arrow(self, seq: int) -> bytes:
        import pyarrow as pa

        columns = {
            name: pa.array(values).dictionary_encode() if name in _WORDS else pa.array(values)
            for name, values in self.columns(seq).items()
        }
        head = {"source": self.client, "boot_id": "b", "seq": str(seq)}
        table = pa.table(columns).replace_schema_metadata(head)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return bytes(sink.getvalue())


_WORDS = frozenset({"device", "workload", "method"})


def _first_ms() -> int:
    """Long enough ago that no batch ends in the future."""
    return floor_to(SystemClock().now_ms(), MS_PER_DAY) - 12 * MS_PER_DAY
