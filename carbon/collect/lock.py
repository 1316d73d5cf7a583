"""One sampler per host: who holds the lock samples, the others ask it."""

from __future__ import annotations

import fcntl
import os
from enum import StrEnum
from pathlib import Path

from msgspec import Struct


class Role(StrEnum):
    AGENT = "agent"  #: a process of its own that stays
    EMBEDDED = "embedded"  #: inside somebody's `carbon run` or program, gone when that ends


class Holder(Struct, frozen=True):
    """Who samples, as the pid file says it."""

    pid: int
    role: Role
    socket: Path


class AgentBusy(Exception):
    """Another process samples this host; its pid is in the message."""


class SamplerLock:
    """A lock that the kernel releases however its holder dies, and a pid file beside it."""

    def __init__(self, folder: Path) -> None:
        self._lock_path = folder / "agent.lock"
        self._pid_path = folder / "agent.pid"
        self._fd: int | None = None

    def acquire(self, role: Role, socket: Path) -> bool:
        """True where we hold the lock now; False where another process does."""
        fd = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._fd = fd
        self._write_pid_file(role, socket)
        return True

    def release(self) -> None:
        if self._fd is not None:
            self._pid_path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def disown(self) -> None:
        """Gives up a descriptor that came by fork; the parent goes on holding the lock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> Holder | None:
        """Who wrote the pid file last; it may have died since."""
        return read_holder(self._pid_path)

    def _write_pid_file(self, role: Role, socket: Path) -> None:
        fresh = self._pid_path.with_suffix(".new")
        fresh.write_text(f"{os.getpid()}\n{role}\n{socket}\n")
        fresh.replace(self._pid_path)


def read_holder(pid_path: Path) -> Holder | None:
    try:
        pid, role, socket = pid_path.read_text().splitlines()
        return Holder(int(pid), Role(role), Path(socket))
    except (OSError, ValueError):
        return None
