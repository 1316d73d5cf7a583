"""A process table that a test writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from carbon.collect.processes import MachineTotals, Process


@dataclass
class ScriptedProcesses:
    """A ProcessReader; a test starts, works and ends processes by hand."""

    cores: int = 4
    memory_bytes: int = 16 << 30
    _alive: dict[int, Process] = field(default_factory=dict)
    _busy_s: float = 100.0
    _next_start: float = 1.0

    def start(
        self,
        pid: int,
        user: str = "ana",
        parent: int = 1,
        environment: Mapping[str, str] | None = None,
        memory_bytes: int = 0,
    ) -> None:
        self._next_start += 1.0
        self._alive[pid] = Process(
            pid, parent, self._next_start, user, 0.0, 0.0, memory_bytes, dict(environment or {})
        )

    def work(self, pid: int, cpu_s: float) -> None:
        self._alive[pid].cpu_s += cpu_s
        self._busy_s += cpu_s

    def work_unseen(self, cpu_s: float) -> None:
        """Of kernel threads and of processes in namespaces that we cannot see."""
        self._busy_s += cpu_s

    def end(self, pid: int) -> None:
        """Its parent, if it is here, waits for it."""
        process = self._alive.pop(pid)
        parent = self._alive.get(process.parent_pid)
        if parent is not None:
            parent.children_cpu_s += process.cpu_s + process.children_cpu_s

    def processes(self) -> Iterator[Process]:
        return (replace(process) for process in self._alive.values())

    def process(self, pid: int) -> Process | None:
        return replace(self._alive[pid]) if pid in self._alive else None

    def totals(self) -> MachineTotals:
        return MachineTotals(self._busy_s, self.memory_bytes, self.cores)
