"""The real agent as a process of its own, on a folder where the CPU's figures are known."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from carbon.client.agent_link import AgentGone, AgentLink
from carbon.collect.cpu_model import CpuFigures, FigureCache, Machine
from carbon.collect.protocol import Request, RunEnd, RunEnded, RunStart, RunStarted, Status
from carbon.collect.protocol import StatusRequest as Ask

#: Longer than anything takes on a busy machine; a test that is right never waits for it.
PATIENCE_S = 30.0

A = TypeVar("A", bound=msgspec.Struct)


def wait_until(is_so: Callable[[], Any], what: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until_s, f"waited in vain for {what}"
        time.sleep(0.02)


def know_the_cpu(data_dir: Path) -> None:
    """60 W for the CPU and 10 W for the memory, without asking anybody."""
    FigureCache(data_dir / "agent").put(Machine.here(), CpuFigures(60_000, 10_000, "test"))


@dataclass
class AgentProcess:
    data_dir: Path
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("--period-s=1",)

    def start(self) -> AgentProcess:
        know_the_cpu(self.data_dir)
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "carbon.collect.agent",
                f"--data-dir={self.data_dir}",
                *self.arguments,
            ],
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __enter__(self) -> AgentProcess:
        self.start()
        wait_until(self.is_up, "the agent")
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()[1].decode()
        try:
            return self.status().pid == self.process.pid
        except AgentGone:
            return False

    def has_reading(self) -> bool:
        """Whether whoever samples this folder has attributed a first second."""
        try:
            return bool(self.status().devices)
        except AgentGone:
            return False

    def status(self) -> Status:
        return self.ask(Ask(), Status)

    def ask(self, request: Request, answer: type[A]) -> A:
        link = AgentLink(self.data_dir)
        try:
            return link.call(request, answer)
        finally:
            link.close()

    def start_run(self, run: str, pid: int = 0) -> RunStarted:
        return self.ask(RunStart(run, "w", pid), RunStarted)

    def end_run(self, run: str) -> RunEnded:
        return self.ask(RunEnd(run), RunEnded)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PATIENCE_S)

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
