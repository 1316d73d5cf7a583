"""A service under measurement: the real application behind a real socket, in a process of its
own, and a client that keeps one connection."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from carbon.collect.server_address import find_server


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    key: str
    process: psutil.Process
    data_dir: Path

    def client(self) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60.0)

    @property
    def cpu_s(self) -> float:
        """Processor time of the service so far, its children's not."""
        told = self.process.cpu_times()
        return float(told.user + told.system)

    def wait_for_rest(self, most_s: float = 120.0) -> None:
        """Until the service and what it has started do next to nothing for two seconds: rolling
        up and finding what to recommend after a start are no part of what is measured."""
        until = time.monotonic() + most_s
        before = self.cpu_with_children_s
        while time.monotonic() < until:
            time.sleep(2.0)
            before, earlier = self.cpu_with_children_s, before
            if before - earlier < 0.1:
                return

    @property
    def cpu_with_children_s(self) -> float:
        """Processor time of the service and of what it has started, roll-ups among them, those
        that have ended too."""
        told = self._of_everyone(psutil.Process.cpu_times)
        return float(sum(t.user + t.system + t.children_user + t.children_system for t in told))

    @property
    def memory_mb(self) -> float:
        """Of the service and of what it has started; what they share counts once."""
        told = self._of_everyone(psutil.Process.memory_full_info)
        return float(sum(t.pss for t in told)) / 1e6

    def _of_everyone(self, ask: Callable[[psutil.Process], Any]) -> list[Any]:
        found = []
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                found.append(ask(process))
        return found


@contextmanager
def service(
    db_url: str | None = None,
    agent: bool = False,
    data_dir: Path | None = None,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """`carbon serve` (or `up`, with an agent) on a free port until the block ends; `before` is a
    command that becomes it."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = data_dir or Path(folder)
        process = _start(data_dir, db_url, agent, before, environment or {})
        try:
            yield _wait(process, data_dir)
        finally:
            process.terminate()
            process.wait(timeout=15)


def _start(
    data_dir: Path,
    db_url: str | None,
    agent: bool,
    before: Sequence[str],
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    verb = "up" if agent else "serve"
    command = [*before, sys.executable, "-m", "carbon", verb, "--port", str(free_port())]
    command += ["--data-dir", str(data_dir)]
    command += ["--db", db_url] if db_url else []
    quiet = {"CARBON_FEEDS": "false", "CARBON_LOG_LEVEL": "warning"}
    return subprocess.Popen(
        command, env={**os.environ, **quiet, **environment}, stderr=subprocess.DEVNULL
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], data_dir: Path, timeout_s: float = 120.0) -> Service:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        server = find_server(data_dir, key_name="admin_key")
        if server is not None and server.key and _is_ready(server.url):
            return Service(server.url, server.key, psutil.Process(process.pid), data_dir)
        time.sleep(0.02)
    raise RuntimeError("the service under measurement did not start")


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=1.0).status_code == 200
    except httpx2.TransportError:
        return False
