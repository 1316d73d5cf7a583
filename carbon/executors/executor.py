"""The contract between the scheduler and an engine that runs jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from carbon.errors import CarbonError


class ExecutorAway(CarbonError):
    """The engine does not answer, or will not take the attempt now: worth trying again."""

    status = 503
    title = "Executor away"


@dataclass(frozen=True, slots=True)
class AttemptSpec:
    """All that an engine must know to run one attempt of a job."""

    #: Chosen by us and never used twice: the engine's key for "already started".
    attempt_id: str
    #: Program and arguments; run without a shell.
    command: tuple[str, ...]
    #: Folder to run in; None takes the home folder of the account.
    cwd: str | None = None
    #: Added to the engine's own environment.
    env: Mapping[str, str] = field(default_factory=dict)
    #: In place of a command, for engines that have a language of their own.
    spec: Mapping[str, Any] | None = None
    #: Run by a shell before a pause: once it has saved the job's state with exit 0, the command
    #: is ended, and begun anew to go on. Without it a paused job keeps its memory.
    checkpoint: str | None = None


@dataclass(frozen=True, slots=True)
class Handle:
    """An attempt as both sides know it."""

    attempt_id: str
    #: The engine's name for it; None where the answer to `start` never arrived.
    external_id: str | None = None


class LookState(StrEnum):
    ABSENT = "absent"  #: never heard of: starting it is safe
    PENDING = "pending"  #: accepted, not yet begun
    RUNNING = "running"
    PAUSED = "paused"  #: began and stands still until `resume`
    ENDED = "ended"
    LOST = "lost"  #: accepted once, gone without a result; began where `start_ms` is set


@dataclass(frozen=True, slots=True)
class Look:
    """What an engine knows of an attempt. Times in epoch ms of the engine's clock."""

    state: LookState
    start_ms: int | None = None
    end_ms: int | None = None
    #: 128 + n where signal n ended it. None where it never began or the engine cannot say.
    exit_code: int | None = None
    #: One line for people, such as why it could not begin.
    detail: str = ""
    #: What it says that it made, by unit.
    units: Mapping[str, int] = field(default_factory=dict)
    #: What agents see it draw as, where that is not its run: `slurm:8` of a task, `pod:<uid>`.
    subjects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Logs:
    stdout: str
    stderr: str


class Executor(Protocol):
    """An engine. Every call may be repeated, and may be made by a process that has just
    started and remembers nothing: what must last lies with the engine.

    Any call raises ExecutorAway where the engine does not answer; the caller tries again.
    """

    #: As jobs name it.
    name: str
    #: Jobs that run at once where the pool says nothing.
    default_capacity: int

    def start(self, attempt: AttemptSpec) -> str:
        """Hands the attempt over and returns the engine's id for it.

        However often and from however many processes it is called, the attempt runs at most
        once; a call for an attempt that was cancelled starts nothing. Returns before the
        command has begun: `look` tells when it has.
        """
        ...

    def look(self, handle: Handle) -> Look:
        """What has become of the attempt. After ENDED the answer does not change again."""
        ...

    def cancel(self, handle: Handle) -> None:
        """Asks the attempt to end: TERM to all its processes, KILL after a grace.

        Does not wait. An attempt that was not handed over yet never starts from then on, and
        `look` says ENDED without a start. Nothing happens where it has ended already.
        """
        ...

    def logs(self, handle: Handle) -> Logs:
        """What the attempt has written so far; capped, with a note where some was left out."""
        ...


@runtime_checkable
class SpecExecutor(Protocol):
    """An engine with a language of its own: it takes a spec in place of a command."""

    def check(self, spec: Mapping[str, Any], team: str) -> None:
        """Raises InvalidInput for a spec with which nothing can be started."""
        ...


@runtime_checkable
class Pausing(Protocol):
    """An engine whose attempts can stand still in between; jobs of others run in one piece."""

    def pause(self, handle: Handle) -> None:
        """Asks the attempt to stand still and to draw no more than an idle machine: by its
        checkpoint hook where that succeeds, else by stopping its processes where they are.

        Does not wait: `look` says PAUSED once it does. Nothing happens where it does not run.
        """
        ...

    def resume(self, handle: Handle) -> None:
        """Lets a paused attempt go on where it was; nothing happens to one that runs."""
        ...
