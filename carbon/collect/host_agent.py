"""The agent: one process (or thread) a host that measures, attributes, spools and delivers."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from carbon.clock import Clock, SystemClock
from carbon.collect.agent_dir import AgentDir
from carbon.collect.lock import AgentBusy, Role, SamplerLock
from carbon.collect.sampler import Sampler
from carbon.collect.schedule import NS_PER_S, Schedule
from carbon.collect.source import DeviceKind, Source
from carbon.collect.sources import machine_sources

if TYPE_CHECKING:
    from carbon.collect.joining import Joining
    from carbon.collect.protocol import Request
    from carbon.collect.server_address import ServerAddress

log = logging.getLogger(__name__)

#: What a stopping agent spends on a last delivery.
LAST_DELIVERY_S = 2.0
_POLL_S = 0.05
#: Twice a second what was looked at is taken up; who looks more often does so by itself.
_STEPS_HZ = 2.0


class AgentOptions(Struct, frozen=True):
    data_dir: Path
    period_s: float = 10.0
    rate_hz: float = 10.0
    zone: str | None = None
    #: The zone is a guess, as from the system's time zone.
    zone_is_guess: bool = False
    url: str | None = None
    key: str | None = None
    #: With which this machine gets a key of its own, once.
    join_token: str | None = None
    #: Print one reading and end.
    once: bool = False

    @property
    def joining(self) -> Joining | None:
        if not self.join_token:
            return None
        from carbon.collect.joining import Joining

        return Joining(self.data_dir, self.join_token, self.url)


class Agent:
    """Start, stop, and the threads between: sampling, delivery, socket."""

    def __init__(
        self,
        options: AgentOptions,
        role: Role = Role.AGENT,
        sources: Sequence[Source] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.options = options
        self.role = role
        self.clock: Clock = clock or SystemClock()
        self.dir = AgentDir(options.data_dir)
        self._given_sources = sources
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Raises AgentBusy where another process holds the lock. What is drawn from its first look
        on is counted, and that comes before all else is loaded."""
        self.dir.create()
        self._lock = SamplerLock(self.dir.folder)
        if not self._lock.acquire(self.role, self.dir.socket()):
            holder = self._lock.holder()
            raise AgentBusy(f"process {holder.pid} samples this host" if holder else "held")
        try:
            self._start_locked()
        except BaseException:
            self._lock.release()
            raise

    def _start_locked(self) -> None:
        sources = self._given_sources
        if sources is None:
            sources = machine_sources(self.dir.folder, self.options.rate_hz)
        self.sampler = Sampler(list(sources))
        self.sampler.refresh()
        self.sampler.look()
        from carbon.collect.assembly import assemble  # late, as `start` says

        parts = assemble(self)
        self.spool, self.recorder, self.uploader = parts.spool, parts.recorder, parts.uploader
        self._registry = parts.registry
        self.recorder.start()
        self._registry.start()
        self._begin(self._sample, "carbon-sampler")
        self._begin(self.uploader.run, "carbon-upload")
        log.info("samples %d devices for %s", len(self.sampler.devices), self.dir.folder)

    def stop(self, last_delivery_s: float = LAST_DELIVERY_S) -> None:
        """Closes the period, spools it, tries to deliver it, and lets others sample."""
        self._registry.stop()
        self._stopping.set()
        self._threads[0].join(timeout=5)
        self.recorder.close_period()
        left = self.uploader.flush(last_delivery_s) if last_delivery_s else self.spool.depth
        self.uploader.stop()
        self._threads[1].join(timeout=1)
        self.sampler.close_sources()
        self.spool.db.close()
        self._lock.release()
        log.info("agent %d ends, %d batches wait for the next one", os.getpid(), left)

    def disown(self) -> None:
        """For a forked child, which has the lock's descriptor but none of the threads."""
        self._lock.disown()

    def wait_for_cpu(self, timeout_s: float) -> None:
        """On a machine's very first start the CPU's figures are looked up for some seconds."""
        self._wait_until(lambda: DeviceKind.CPU in self.sampler.kinds, timeout_s)

    def wait_for_reading(self, timeout_s: float) -> None:
        """Until the CPU, and with it all else, was attributed for a first time."""
        self.wait_for_cpu(timeout_s)
        self._wait_until(lambda: bool(self.recorder.attributor.powers), timeout_s)

    def _wait_until(self, is_so: Callable[[], bool], timeout_s: float) -> None:
        until_ns = self.clock.monotonic_ns() + round(timeout_s * NS_PER_S)
        while not is_so() and self.clock.monotonic_ns() < until_ns:
            self._stopping.wait(_POLL_S)

    def answer(self, request: Request) -> Struct:
        """One request of the socket, or of the program we are embedded in."""
        from carbon.collect.answers import answer_of

        return answer_of(self, request)

    def server(self) -> ServerAddress | None:
        from carbon.collect.joining import agent_server

        return agent_server(self.options.data_dir, self.options.url, self.options.key)

    def server_joined(self) -> ServerAddress | None:
        """For delivery, which may wait: a server that was away at the start is joined later.
        Raises CarbonError as long as the joining fails."""
        if (joining := self.options.joining) is not None:
            joining.join()
        return self.server()

    def _sample(self) -> None:
        recorder = self.recorder
        schedule = Schedule(_STEPS_HZ, recorder.next_mark_ns)
        while True:
            # Looks fall on the ends of periods, wherever the wall clock puts those.
            schedule.realign(recorder.next_mark_ns)
            now_ns = self.clock.monotonic_ns()
            if self._stopping.wait((schedule.next_ns(now_ns) - now_ns) / NS_PER_S):
                return
            try:
                recorder.step()
            except Exception:
                log.exception("a look failed")

    def _begin(self, body: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=body, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
