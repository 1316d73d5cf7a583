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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from carbon.client.agent_link import CALL_TIMEOUT_S, AgentGone, AgentLink, shared_link
from carbon.client.embedded import embedded_agent, start_embedded
from carbon.client.measurer import Embedded, Linked, Measurer
from carbon.collect.lock import AgentBusy
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

if TYPE_CHECKING:
    from carbon.collect.host_agent import AgentOptions

log = logging.getLogger(__name__)

A = TypeVar("A", bound=msgspec.Struct)

#: One source of unit counts for all of a host's clients: of several only one would count.
UNITS_SOURCE = "carbon-client"
#: An agent holds the lock for some ms before its socket answers.
_OPEN_TRIES, _OPEN_PAUSE_S = 40, 0.05
#: What a program that is measured in passing waits at most: for an agent's answer, and once in its
#: life for the meters, where it has to look at them by itself.
_PASSING_CALL_S, _PASSING_START_S = 0.5, 1.0


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


@dataclass(slots=True)
class RunSession:
    data_dir: Path
    #: Looked up only where we must measure ourselves: that takes longer than to ask an agent.
    options: Callable[[], AgentOptions]
    workload: str | None
    reserve: bool = False
    #: Of a program that does something else: nothing waits for longer than it would notice.
    in_passing: bool = False
    run: str = field(default_factory=lambda: f"r-{secrets.token_hex(8)}")
    #: Where we measure ourselves: wait up to this long for the CPU's figures before the start.
    wait_cpu_s: float = 0.0
    start_ms: int = 0
    _measurer: Measurer | None = None
    #: Its owner ended it; its end was registered, too.
    _is_over: bool = False
    _has_ended: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _was_tried: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Never raises: a run that nobody can measure runs all the same."""
        self.start_ms = _now_ms()
        if not self.in_passing:
            with self._lock:
                self._open()
        elif not self._open_link():
            threading.Thread(target=self._open_late, name="carbon-open", daemon=True).start()
            self._was_tried.wait(_PASSING_START_S)

    def end(self, units: Mapping[str, int] | None = None) -> Measured:
        """Never raises. The counts are of the run's whole time."""
        self._is_over = True
        with self._locked() as is_ours:
            if not is_ours:
                return self._measured(None)
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
        self._is_over = self._has_ended = True
        with self._locked() as is_ours:
            if is_ours:
                self._leave()

    @property
    def by(self) -> MeasuredBy:
        if self._measurer is None:
            return MeasuredBy.NOBODY
        is_agent = isinstance(self._measurer, Linked)
        return MeasuredBy.AGENT if is_agent else MeasuredBy.IN_PROCESS

    def _open_link(self) -> bool:
        """Whether an agent measures from here on; asks nothing twice and waits for nobody."""
        try:
            with self._lock:
                self._measurer = self._link()
                if self._measurer is not None:
                    self._register(self._measurer)
        except AgentGone:
            self._leave()
        except Exception as error:
            self._nobody(error)
            return True
        return self._measurer is not None

    def _open_late(self) -> None:
        """While the program goes on, which waits for the first try at most."""
        for _ in range(_OPEN_TRIES):
            with self._lock:
                is_settled = self._is_over or self._try_to_open()
            self._was_tried.set()
            if is_settled:
                return
            time.sleep(_OPEN_PAUSE_S)

    def _open(self) -> None:
        for _ in range(_OPEN_TRIES):
            if self._try_to_open():
                return
            time.sleep(_OPEN_PAUSE_S)
        self._nobody("the sampler of this host does not answer")

    def _try_to_open(self) -> bool:
        """False where another try may do better."""
        self._leave()
        try:
            self._measurer = self._link() or self._embed()
            if not self._has_ended:
                self._register(self._measurer)
        except (AgentBusy, AgentGone):
            self._leave()
            return False
        except Exception as error:
            self._nobody(error)
        return True

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Whether it could be had in time: meters that are being opened may hang."""
        is_ours = self._lock.acquire(timeout=_PASSING_CALL_S if self.in_passing else -1)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._lock.release()

    def _nobody(self, why: object) -> None:
        self._leave()
        log.warning("nobody measures run %s: %s", self.run, why)

    def _leave(self) -> None:
        left, self._measurer = self._measurer, None
        if left is not None:
            left.leave()

    def _link(self) -> Measurer | None:
        if (agent := embedded_agent(self.data_dir)) is not None:
            return Embedded(agent)
        timeout_s = _PASSING_CALL_S if self.in_passing else CALL_TIMEOUT_S
        try:
            link = shared_link(self.data_dir, timeout_s)
            return Linked(link, lambda: self._find_next(link))
        except AgentGone:
            return None

    def _embed(self) -> Embedded:
        agent = start_embedded(self.options())
        if self.wait_cpu_s:
            agent.wait_for_cpu(self.wait_cpu_s)
        return Embedded(agent)

    def _register(self, measurer: Measurer) -> None:
        request = RunStart(self.run, self.workload, os.getpid(), self.reserve)
        if self.in_passing:
            measurer.post(request)
        else:
            self.start_ms = measurer.call(request, RunStarted).at_ms

    def _find_next(self, gone: AgentLink) -> None:
        """The agent ended: another one, or we ourselves, go on for it."""
        with self._lock:
            is_ours = isinstance(self._measurer, Linked) and self._measurer.link is gone
            if is_ours and not self._is_over:
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
        if not self.in_passing:
            self._open()
        else:
            self._measurer = self._link()
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
        if self.in_passing and self._measurer is not None:
            self._measurer.post(Units(counts))
        else:
            self._ask(Units(counts), Accepted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
