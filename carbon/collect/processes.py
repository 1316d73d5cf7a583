"""The process table: who used the CPU since the last look, and who holds memory.

One look costs some 20 µs for each user process; kernel threads are passed over (their time
stays in the machine's total and so becomes `unattributed`).
"""

from __future__ import annotations

import pwd
from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct, field

from carbon.collect.place import NOWHERE, Place


class Process(Struct):
    """One process as last seen. CPU times in seconds since its start."""

    pid: int
    parent_pid: int
    #: Opaque; with the pid it names a process for good.
    started: float
    user: str
    cpu_s: float
    #: CPU time of children that ended and were waited for, theirs included.
    children_cpu_s: float
    memory_bytes: int
    #: Its CARBON_* variables; nothing else of another process's environment is kept.
    environment: Mapping[str, str] = field(default_factory=dict)
    place: Place = NOWHERE


def user_name(uid: int) -> str:
    """The number where this machine has no name for it, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class MachineTotals(Struct, frozen=True):
    #: CPU time of all cores that was not idle, since boot.
    busy_s: float
    memory_bytes: int
    cores: int


class ProcessReader(Protocol):
    def processes(self) -> Iterable[Process]:
        """Every process that may be seen. What is told of one never changes: a process that did
        something is another object at the next call."""
        ...

    def process(self, pid: int) -> Process | None:
        """One of them, if it is there."""
        ...

    def totals(self) -> MachineTotals: ...


class Usage(Struct, frozen=True):
    """What happened between two looks."""

    #: Those that run, and those that ended in between: their time still needs a name.
    named: Mapping[int, Process]
    #: Resident memory of those that run, by pid.
    memory_bytes: Mapping[int, int]
    #: CPU time by pid, that of ended processes included as far as anybody waited for them.
    cpu_s: Mapping[int, float]
    #: Never less than the sum of `cpu_s`.
    busy_s: float
    totals: MachineTotals


NOTHING_USED = Usage({}, {}, {}, 0.0, MachineTotals(0.0, 0, 1))


class ProcessTable:
    def __init__(self, reader: ProcessReader) -> None:
        self._reader = reader
        self._before: dict[int, Process] | None = None
        self._busy_s = 0.0

    def look(self) -> Usage:
        """CPU time by process since the last look; the first look shows nobody using any."""
        now = {process.pid: process for process in self._reader.processes()}
        totals = self._reader.totals()
        before, self._before = self._before, now
        busy_before_s, self._busy_s = self._busy_s, totals.busy_s
        memory_bytes = {pid: process.memory_bytes for pid, process in now.items()}
        if before is None:
            return Usage(now, memory_bytes, {}, 0.0, totals)
        cpu_s = _used(before, now)
        busy_s = max(totals.busy_s - busy_before_s, sum(cpu_s.values()))
        return Usage(before | now, memory_bytes, cpu_s, busy_s, totals)

    def find(self, pid: int) -> Process | None:
        """A process as it is now; the time until the next look is not touched by this."""
        return self._reader.process(pid)


def _used(before: Mapping[int, Process], now: Mapping[int, Process]) -> dict[int, float]:
    """CPU time by pid; what neither ran nor ended costs one comparison."""
    ended: dict[int, list[Process]] = {}
    for process in before.values():
        if process is not now.get(process.pid) and _is_another(process, now.get(process.pid)):
            ended.setdefault(process.parent_pid, []).append(process)
    used: dict[int, float] = {}
    for process in now.values():
        last = before.get(process.pid)
        if last is process:
            continue
        if last is None or _is_another(process, last):
            used[process.pid] = used.get(process.pid, 0.0) + process.cpu_s + process.children_cpu_s
        else:
            used[process.pid] = used.get(process.pid, 0.0) + max(0.0, process.cpu_s - last.cpu_s)
            _hand_on(used, process, last, ended.get(process.pid, []))
    return {pid: cpu_s for pid, cpu_s in used.items() if cpu_s > 0}


def _is_another(process: Process, other: Process | None) -> bool:
    return other is None or other.started != process.started


def _hand_on(
    used: dict[int, float], parent: Process, last: Process, ended: Iterable[Process]
) -> None:
    """Time that ended children used after they were last seen shows in their parent alone; it
    goes to them in equal parts, or to the parent where it came and went between two looks."""
    ended = list(ended)
    seen_s = sum(child.cpu_s + child.children_cpu_s for child in ended)
    unseen_s = parent.children_cpu_s - last.children_cpu_s - seen_s
    if unseen_s <= 0:
        return
    heirs = [child.pid for child in ended] or [parent.pid]
    for pid in heirs:
        used[pid] = used.get(pid, 0.0) + unseen_s / len(heirs)
