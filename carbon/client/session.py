"""One run, from its start to its end, with whoever measures on this host.

The agent where one runs, else an agent embedded in this process. If the agent ends during the
run, the next one is found or embedded; the run and what it drew so far lie in the spool's
file, so at most the last second is lost.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec

from carbon.client.agent_link import AgentGone, AgentLink, AgentRefused
from carbon.client.embedded import start_embedded
from carbon.collect.host_agent import Agent, AgentBusy, AgentOptions
from carbon.collect.protocol import (
    Accepted,
    Flush,
    Flushed,
    MeterUsed,
    Request,
    RunEnd,
    RunEnded,
    RunStart,
    RunStarted,
    Units,
)
from carbon.wire.energy import EnergyInterval, UnitCount

log = logging.getLogger(__name__)

A = TypeVar("A", bound=msgspec.Struct)

#: One source of unit counts for all of a host's clients: of several only one would count.
UNITS_SOURCE = "carbon-client"
#: An agent holds the lock for some ms before its socket answers.
_OPEN_TRIES, _OPEN_PAUSE_S = 40, 0.05


class MeasuredBy(StrEnum):
    AGENT = "agent"
    IN_PROCESS = "in_process"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run drew, as far as anybody saw it."""

    start_ms: int
    end_ms: int
    intervals: Sequence[EnergyInterval]
    sources: Sequence[MeterUsed]
    by: MeasuredBy


class _Measurer(Protocol):
    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Embedded:
    agent: Agent

    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A:
        given = self.agent.answer(request)
        if isinstance(given, answer):
            return given
        raise AgentRefused(str(given))

    def close(self) -> None:
        """Stays for the next run of this process."""


@dataclass(slots=True)
class RunSession:
    options: AgentOptions
    workload: str | None
    reserve: bool = False
    run: str = field(default_factory=lambda: f"r-{secrets.token_hex(8)}")
    #: Where we measure ourselves: wait up to this long for the CPU's figures before the start.
    wait_cpu_s: float = 0.0
    start_ms: int = 0
    _measurer: _Measurer | None = None
    #: Its owner ended it; its end was registered, too.
    _is_over: bool = False
    _has_ended: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def start(self) -> None:
        """Never raises: a run that nobody can measure runs all the same."""
        with self._lock:
            self._open()
            self.start_ms = self.start_ms or _now_ms()

    def end(self, units: Mapping[str, int] | None = None) -> Measured:
        """Never raises. The counts are of the run's whole time."""
        with self._lock:
            self._is_over = True
            ended = self._ask(RunEnd(self.run), RunEnded)
            self._has_ended = True
            measured = self._measured(ended)
            if units:
                self._count(units, measured)
            return measured

    def flush(self, timeout_s: float) -> int | None:
        """Batches still undelivered after trying for so long; None where nobody knows."""
        with self._lock:
            flushed = self._ask(Flush(timeout_s), Flushed, timeout_s)
            return flushed.pending if flushed else None

    def close(self) -> None:
        """After the end, and after `flush` where that is wanted."""
        with self._lock:
            self._is_over = self._has_ended = True
            self._leave()

    @property
    def by(self) -> MeasuredBy:
        if self._measurer is None:
            return MeasuredBy.NOBODY
        embedded = isinstance(self._measurer, _Embedded)
        return MeasuredBy.IN_PROCESS if embedded else MeasuredBy.AGENT

    def _open(self) -> None:
        for _ in range(_OPEN_TRIES):
            self._leave()
            try:
                self._measurer = self._link() or self._embed()
                if not self._has_ended:
                    self._register(self._measurer)
                return
            except (AgentBusy, AgentGone):
                time.sleep(_OPEN_PAUSE_S)
            except Exception as error:
                self._leave()
                log.warning("nobody measures run %s: %s", self.run, error)
                return
        self._leave()
        log.warning("nobody measures run %s: the sampler of this host does not answer", self.run)

    def _leave(self) -> None:
        left, self._measurer = self._measurer, None
        if left is not None:
            left.close()

    def _link(self) -> AgentLink | None:
        try:
            link = AgentLink(self.options.data_dir)
        except AgentGone:
            return None
        link.watch(lambda: self._find_next(link))
        return link

    def _embed(self) -> _Embedded:
        agent = start_embedded(self.options)
        if self.wait_cpu_s:
            agent.wait_for_cpu(self.wait_cpu_s)
        return _Embedded(agent)

    def _register(self, measurer: _Measurer) -> None:
        request = RunStart(self.run, self.workload, os.getpid(), self.reserve)
        self.start_ms = measurer.call(request, RunStarted).at_ms

    def _find_next(self, gone: AgentLink) -> None:
        """The agent ended: another one, or we ourselves, go on for it."""
        with self._lock:
            if not self._is_over and self._measurer is gone:
                log.warning("the agent ended during run %s", self.run)
                self._open()

    def _ask(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A | None:
        """Asks again after the agent was replaced; None where nobody answers."""
        for ask in (self._call, self._call_next):
            try:
                return ask(request, answer, wait_s)
            except AgentGone:
                continue
            except Exception as error:
                log.warning("run %s: %s", self.run, error)
                return None
        return None

    def _call(self, request: Request, answer: type[A], wait_s: float) -> A:
        if self._measurer is None:
            raise AgentGone("nobody measures")
        return self._measurer.call(request, answer, wait_s)

    def _call_next(self, request: Request, answer: type[A], wait_s: float) -> A:
        self._open()
        return self._call(request, answer, wait_s)

    def _measured(self, ended: RunEnded | None) -> Measured:
        if ended is None:
            return Measured(self.start_ms, _now_ms(), [], [], MeasuredBy.NOBODY)
        return Measured(ended.start_ms, ended.at_ms, ended.intervals, ended.sources, self.by)

    def _count(self, units: Mapping[str, int], measured: Measured) -> None:
        if self.workload is None:
            return
        end_ms = max(measured.end_ms, measured.start_ms + 1)
        counts = [
            UnitCount(self.workload, unit, UNITS_SOURCE, measured.start_ms, end_ms, count)
            for unit, count in units.items()
        ]
        self._ask(Units(counts), Accepted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
