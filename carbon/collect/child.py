"""The agent as a child that outlives its parent: started by `carbon up`, found by the next."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from carbon.collect.agent_dir import AgentDir
from carbon.collect.backoff import Backoff
from carbon.collect.lock import Role, read_holder

log = logging.getLogger("carbon.agent")

_STOP_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.05
#: Most of what a kill of the agent costs a device without a counter.
_KEEP_EVERY_S = 0.2
#: An agent that lived for so long is no agent that cannot start.
_HEALTHY_S = 60.0


class AgentChild:
    """This machine's agent. It has a session of its own, so that neither Ctrl-C in our terminal
    nor our death ends it; only `stop` does."""

    def __init__(
        self,
        data_dir: Path,
        period_s: float,
        rate_hz: float,
        zone: str | None = None,
        zone_is_guess: bool = False,
    ) -> None:
        self._dir = AgentDir(data_dir)
        self._arguments = [
            f"--data-dir={data_dir}",
            f"--period-s={period_s}",
            f"--rate-hz={rate_hz}",
        ]
        if zone is not None:
            self._arguments.append(f"--zone={zone}")
        if zone_is_guess:
            self._arguments.append("--zone-is-guess")
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> bool:
        """False where an agent runs already, which we then adopt."""
        holder = read_holder(self._dir.pid_file)
        if holder is not None and holder.role is Role.AGENT and is_agent(holder.pid):
            self.pid, self._process = holder.pid, None
            return False
        self._dir.create()
        with (self._dir.folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "carbon.collect.agent", *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._started_s = time.monotonic()
        return True

    def keep(self) -> None:
        """Starts it anew whenever it dies, until `stop`: one that cannot live is tried ever more
        rarely."""
        threading.Thread(target=self._keep, name="agent-keeper", daemon=True).start()

    def stop(self) -> None:
        """Asks it to end, and waits while it delivers what it has."""
        self._stopping.set()
        with self._lock:
            self._stop()

    def _keep(self) -> None:
        backoff = Backoff(first_s=_KEEP_EVERY_S)
        wait_s = _KEEP_EVERY_S
        while not self._stopping.wait(wait_s):
            wait_s = _KEEP_EVERY_S
            if not self._has_ended():
                continue
            if time.monotonic() - self._started_s > _HEALTHY_S:
                backoff.succeeded()
            self._start_anew()
            wait_s = backoff.failed()

    def _start_anew(self) -> None:
        with self._lock:
            if self._stopping.is_set():
                return
            died = self.pid
            try:
                self.start()
            except OSError as error:
                log.error("the agent %d ended and cannot be started: %s", died, error)
            else:
                log.warning("the agent %d ended, %d goes on for it", died, self.pid)

    def _stop(self) -> None:
        if self._process is None and not is_agent(self.pid):
            return
        try:
            os.kill(self.pid, signal.SIGTERM)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + _STOP_WITHIN_S
        while time.monotonic() < deadline and not self._has_ended():
            time.sleep(_LOOK_EVERY_S)

    def _has_ended(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        return not is_agent(self.pid)


def is_agent(pid: int) -> bool:
    """Whether a live process with this pid is an agent of ours: pids are used again."""
    import psutil  # late: the server's start need not wait for it

    try:
        return "carbon.collect.agent" in psutil.Process(pid).cmdline()
    except (psutil.Error, ValueError):
        return False
