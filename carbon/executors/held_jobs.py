"""Jobs that their own users hold at an engine, and that carbon only lets go earlier.

The engine itself starts such a job at its latest safe start, so that it goes in time whatever
becomes of carbon. Carbon needs nobody's credentials, files or environment: it sees the job,
plans it, and at the planned time moves its start to now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from carbon.executors.executor import Executor


@dataclass(frozen=True, slots=True)
class HeldJob:
    """One that waits at its engine. Times in epoch ms."""

    #: What we call it, in all time: by the engine's own name of it, and never twice.
    job_id: str
    #: By the engine's own trusted mapping, such as a Slurm account or a namespace.
    team: str
    name: str
    submitted_ms: int
    earliest_ms: int
    deadline_ms: int
    #: When the engine starts it by itself.
    latest_ms: int
    #: The longest it may run; None where there is no limit.
    limit_ms: int | None = None
    power_w: float | None = None
    #: On how much of what it runs, by the engine's own words: of one name and size, lengths are
    #: learned.
    size: str = ""


@runtime_checkable
class HoldingExecutor(Executor, Protocol):
    """An engine whose users hold their own jobs. The attempts of such a job are named after
    it (`{job_id}-1`), and `start` lets the job go: twice is once."""

    def held(self) -> list[HeldJob]:
        """Those that wait now and may be let go. Raises ExecutorAway."""
        ...
