"""The process table of Linux, read from /proc without a library: one read for each process that is
known, three more for a new one. Those that sleep are left alone for as long as the others account
for the time that the machine was busy: most of a machine's processes sleep."""

from __future__ import annotations

import os
import resource
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from msgspec import Struct, field

from carbon.collect.container import Container, own_container
from carbon.collect.cpu_times import read_cpu_times
from carbon.collect.machine import memory_bytes
from carbon.collect.place import SLURM_VARIABLES, Place, place_of
from carbon.collect.processes import MachineTotals, Process, ProcessReader, user_name

#: The parent of all kernel threads.
_KTHREADD = 2
#: A process may change its environment by exec while its name stays: it is read again at its
#: first looks, and whenever the name changes.
_LOOKS_UNTIL_SETTLED = 3
#: A process that did nothing in so many looks sleeps.
_LOOKS_UNTIL_ASLEEP = 3
#: Every so many looks sleepers are looked at, too: about once in a period.
_LOOKS_PER_ROUND = 10
#: Busy time since the last look that nobody seen accounts for, from which on some sleeper may have
#: woken: some ticks of the kernel's clocks, or this share of the busy time. What is overlooked so
#: is counted at the next round.
_UNEXPLAINED_S, _UNEXPLAINED_SHARE = 0.03, 0.02
#: More than the kernel's line of a process can be long.
_STAT_BYTES = 1024
#: Of the files that a process may have open, these are for the process table.
_SHARE_OF_FILES = 2
#: What is read of another process's environment.
_NAMED = frozenset(n.encode() for n in ("CARBON_RUN", "CARBON_WORKLOAD", *SLURM_VARIABLES))


class _Known(Struct):
    """What is kept of a process between looks."""

    started: float
    name: bytes
    user: str
    environment: dict[str, str]
    place: Place
    looks: int = 1
    #: The line that the kernel last wrote of it, and what that said: most processes sleep.
    stat: bytes = b""
    process: Process | None = None
    #: Looks in a row at which it had done nothing.
    rests: int = 0
    #: Its stat file, kept open: to read it anew costs less than half of opening it anew. It is this
    #: process's for good, also where the pid is used again. -1 where it is not kept.
    fd: int = -1


class ProcfsReader(Struct):
    root: Path = Path("/proc")
    #: Some rule asks for command lines.
    reads_commands: bool = False
    #: How many files may be kept open; none inside somebody's program, whose children inherit them.
    most_open: int = 0
    #: Where the processes are a container's, the totals are its own, too.
    container: Container | None = None
    _known: dict[int, _Known] = field(default_factory=dict)
    _open: int = 0
    _looks_left: int = 0
    _busy_s: float = 0.0
    #: As of the last look at the processes, until they are asked for.
    _totals: MachineTotals | None = None
    _kernel_threads: set[int] = field(default_factory=set)
    _tick_s: float = 1 / os.sysconf("SC_CLK_TCK")
    _page_bytes: int = os.sysconf("SC_PAGE_SIZE")

    def processes(self) -> Iterator[Process]:
        pids = {int(name) for name in os.listdir(self.root) if name.isdigit()}
        self._kernel_threads &= pids
        heirs = set(self._forget_all(self._known.keys() - pids))
        self._looks_left -= 1
        asleep = list(self._asleep(heirs)) if self._looks_left > 0 else []
        awake = pids - self._kernel_threads - {pid for pid, _ in asleep}
        used_s = 0.0
        for pid in awake:
            before = self._last(pid)
            process = self._look(pid)
            if process is not None:
                used_s += process.cpu_s - (before.cpu_s if before else 0.0)
                yield process
        self._totals = totals = self._read_totals()
        busy_s, self._busy_s = totals.busy_s - self._busy_s, totals.busy_s
        if not asleep:
            self._looks_left = _LOOKS_PER_ROUND
        all_seen = busy_s - used_s <= max(_UNEXPLAINED_S, _UNEXPLAINED_SHARE * busy_s)
        for pid, process in asleep:
            if all_seen:
                yield process
            elif (now := self._look(pid)) is not None:
                yield now

    def _forget_all(self, gone: Iterable[int]) -> Iterator[int]:
        """Tells their parents, to whom the time passes that they used."""
        for pid in gone:
            if (last := self._last(pid)) is not None:
                yield last.parent_pid
            self._forget(pid)

    def _asleep(self, heirs: Collection[int]) -> Iterator[tuple[int, Process]]:
        for pid, known in self._known.items():
            is_asleep = known.rests >= _LOOKS_UNTIL_ASLEEP and pid not in heirs
            if is_asleep and known.process is not None:
                yield pid, known.process

    def _last(self, pid: int) -> Process | None:
        known = self._known.get(pid)
        return known.process if known else None

    def _look(self, pid: int) -> Process | None:
        known = self._known.get(pid)
        if known is None:
            return self._read(pid)
        before = known.process
        process = (self._unchanged(known) if known.fd >= 0 else None) or self._read(pid)
        known.rests = known.rests + 1 if process is before else 0
        return process

    def _unchanged(self, known: _Known) -> Process | None:
        """The one that was told of before, where its kept file says the same: most sleep."""
        try:
            stat = os.pread(known.fd, _STAT_BYTES, 0)
        except OSError:
            return None
        is_settled = stat == known.stat and known.looks >= _LOOKS_UNTIL_SETTLED
        return known.process if is_settled else None

    def process(self, pid: int) -> Process | None:
        return self._read(pid)

    def totals(self) -> MachineTotals:
        totals, self._totals = self._totals, None
        return totals or self._read_totals()

    def _read_totals(self) -> MachineTotals:
        cores = os.cpu_count() or 1
        if self.container is not None:
            own = (self.container.cpu_s(), self.container.memory_bytes())
            return MachineTotals(*own, cores)
        return MachineTotals(read_cpu_times(self.root / "stat").busy_s, memory_bytes(), cores)

    def _read(self, pid: int) -> Process | None:
        folder = f"{self.root}/{pid}"
        known = self._known.get(pid)
        try:
            stat = self._stat(folder, known)
        except OSError:
            if known is None or known.fd < 0:
                return None
            self._forget(pid)  # it ended; the pid may be another's by now
            return self._read(pid)
        try:
            if known is not None and known.stat == stat and known.looks >= _LOOKS_UNTIL_SETTLED:
                return known.process
            head, _, tail = stat.rpartition(b")")
            fields = tail.split(maxsplit=23)
            known = self._remember(pid, folder, head, float(fields[19]))
        except (OSError, IndexError, ValueError):
            return None  # it ended while we looked
        if int(fields[1]) == _KTHREADD or pid == _KTHREADD:
            self._kernel_threads.add(pid)
            self._forget(pid)
            return None
        known.stat = stat
        known.process = Process(
            pid=pid,
            parent_pid=int(fields[1]),
            started=known.started,
            user=known.user,
            cpu_s=(int(fields[11]) + int(fields[12])) * self._tick_s,
            children_cpu_s=(int(fields[13]) + int(fields[14])) * self._tick_s,
            memory_bytes=int(fields[21]) * self._page_bytes,
            environment=known.environment,
            place=known.place,
        )
        return known.process

    def _remember(self, pid: int, folder: str, name: bytes, started: float) -> _Known:
        known = self._known.get(pid)
        if known is None or known.started != started:
            self._forget(pid)
            known = _Known(started, name, user_name(os.stat(folder).st_uid), *self._told(folder))
            self._keep_open(folder, known)
            self._known[pid] = known
        elif known.looks < _LOOKS_UNTIL_SETTLED or known.name != name:
            known.name = name
            known.environment, known.place = self._told(folder)
            known.looks += 1
        return known

    def _stat(self, folder: str, known: _Known | None) -> bytes:
        """Raises OSError where the process ended."""
        if known is None or known.fd < 0:
            return _read(f"{folder}/stat")
        return os.pread(known.fd, _STAT_BYTES, 0)

    def _keep_open(self, folder: str, known: _Known) -> None:
        if self._open < self.most_open:
            known.fd = os.open(f"{folder}/stat", os.O_RDONLY | os.O_CLOEXEC)
            self._open += 1

    def _forget(self, pid: int) -> None:
        known = self._known.pop(pid, None)
        if known is not None and known.fd >= 0:
            os.close(known.fd)
            self._open -= 1

    def _told(self, folder: str) -> tuple[dict[str, str], Place]:
        """CARBON_* variables, and where the process belongs."""
        variables = _variables(folder)
        slurm: dict[str, str] = {
            name: variables.pop(name) for name in SLURM_VARIABLES if name in variables
        }
        command = _text(f"{folder}/cmdline").replace("\0", " ") if self.reads_commands else ""
        return variables, place_of(_text(f"{folder}/cgroup"), slurm, command)


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _STAT_BYTES)
    finally:
        os.close(fd)


def _text(path: str) -> str:
    """Empty where the process ended or the kernel does not tell."""
    try:
        with open(path, "rb") as told:
            return told.read().decode(errors="replace")
    except OSError:
        return ""


def _variables(folder: str) -> dict[str, str]:
    """Those that name a run, a workload or a job, and no others. Empty where the process is
    another user's and we may not read it.

    Read whole: a variable may stand behind megabytes of others.
    """
    try:
        with open(f"{folder}/environ", "rb") as environ:
            content = environ.read()
    except OSError:
        return {}
    if b"CARBON_" not in content and b"SLURM_JOB_" not in content:
        return {}
    variables = (entry.partition(b"=") for entry in content.split(b"\0"))
    return {
        name.decode(): value.decode(errors="replace")
        for name, _, value in variables
        if name in _NAMED
    }


def process_reader(reads_commands: bool = False, keeps_open: bool = False) -> ProcessReader:
    """The quickest reader of this machine. `keeps_open`: this process is ours alone."""
    if Path("/proc/self/stat").exists():
        most_open = _files_allowed() // _SHARE_OF_FILES if keeps_open else 0
        return ProcfsReader(
            reads_commands=reads_commands, most_open=most_open, container=own_container()
        )
    from carbon.collect.psutil_processes import PsutilReader  # late: it loads psutil

    return PsutilReader()


def _files_allowed() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(soft, 65_536) if soft != resource.RLIM_INFINITY else 65_536
