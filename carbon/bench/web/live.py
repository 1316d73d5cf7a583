"""What a live fleet costs a server: so many devices, each heard every ten seconds, and viewers."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

import httpx2
import numpy as np
import psutil
from sqlalchemy import insert

from carbon.app import open_context
from carbon.auth.keys import create_key
from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.serving import free_port
from carbon.domain.claims import SubjectKind, SubjectRef
from carbon.domain.energy import MeterKind, Method
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.bulk import insert_columns
from carbon.storage.engine import writing
from carbon.storage.identities import Identities
from carbon.storage.interval_columns import Ints
from carbon.storage.names import device, host, meter

_DEVICES, _VIEWERS, _SECONDS = 10_000, 20, 20.0
_QUICK_DEVICES, _QUICK_SECONDS = 500, 4.0
_ON_A_HOST: Final = 8
_SPAN_MS: Final = 10_000
#: Devices take turns: a tenth of them is heard each second.
_TURNS: Final = 10
_EVENT: Final = b"event: power"


def live_fleet(options: Options) -> list[Figure]:
    devices = _QUICK_DEVICES if options.quick else _DEVICES
    seconds = _QUICK_SECONDS if options.quick else _SECONDS
    with tempfile.TemporaryDirectory(prefix="carbon-bench-") as folder:
        settings = Settings(data_dir=Path(folder), timezone="UTC", feeds=False)
        context = open_context(settings)
        fleet = _Fleet(context, _named(context, devices))
        fleet.read_past(240)
        key, _ = create_key(context, "viewer", "bench", ADMIN_SCOPES)
        with fleet.reading(), _replica(folder) as (url, process), _viewers(url, key) as seen:
            seen.wait_for_all(3)
            before, told = process.cpu_times(), seen.events
            began = time.perf_counter()
            time.sleep(seconds)
            took = time.perf_counter() - began
            after, events = process.cpu_times(), seen.events - told
            per_event = seen.received / max(1, seen.events)
        context.engine.dispose()
    used_s = after.user - before.user + after.system - before.system
    rate = events / _VIEWERS / took
    note = f"{_VIEWERS} viewers, {rate:.2f} updates/s each, of {per_event / 1000:.1f} kB"
    return [
        at_most(f"live fleet of {devices} devices", 100 * used_s / took, "% of a core", 5.0, note),
        reported("updates a viewer was sent", rate, "1/s"),
    ]


@dataclass
class _Fleet:
    """Devices that tell what they draw, each in its turn."""

    context: Context
    #: (meter, subject)
    names: tuple[Ints, int]
    _ends: threading.Event = field(default_factory=threading.Event)

    def read_past(self, seconds: int) -> None:
        now_ms = self.context.clock.now_ms() // 1000 * 1000
        for at_ms in range(now_ms - seconds * 1000, now_ms, 1000):
            self._tell(at_ms)

    @contextmanager
    def reading(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ends.set()
            thread.join()

    def _run(self) -> None:
        at_ms = self.context.clock.now_ms() // 1000 * 1000
        while not self._ends.wait(max(0.0, at_ms / 1000 - self.context.clock.now_ms() / 1000)):
            self._tell(at_ms)
            at_ms += 1000

    def _tell(self, at_ms: int) -> None:
        meters, subject = self.names
        mine = meters[at_ms // 1000 % _TURNS :: _TURNS]
        same = np.ones(mine.size, dtype=np.int64)
        random = np.random.default_rng(at_ms)
        energy_mj = random.integers(60, 600, mine.size) * _SPAN_MS
        method = int(Method.COUNTER)
        rows = [same * at_ms, mine, same * subject, same * _SPAN_MS, energy_mj, same * method]
        with writing(self.context.engine) as connection:
            insert_columns(connection, np.stack(rows))


def _named(context: Context, devices: int) -> tuple[Ints, int]:
    """Hosts, devices and meters by the thousand."""
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        ids = Identities(connection, now_ms, {})
        source = ids.source(0, "generated", MeterKind.AGENT)
        model = ids.device_model("gpu", "NVIDIA H100 80GB HBM3")
        subject = ids.subject(SubjectRef(SubjectKind.NAME, "bench/serving"))
        made = {"created_ms": now_ms}
        hosts = range(1, devices // _ON_A_HOST + 2)
        connection.execute(
            insert(host), [{"id": n, "name": f"node-{n:05d}", **made} for n in hosts]
        )
        of_host = [
            {"id": n, "uuid": f"GPU-{n:08x}", "host_id": n // _ON_A_HOST + 1, "model_id": model}
            for n in range(1, devices + 1)
        ]
        connection.execute(insert(device), [{**row, **made} for row in of_host])
        meters = [{"id": n, "device_id": n, "source_id": source} for n in range(1, devices + 1)]
        connection.execute(insert(meter), meters)
    return np.arange(1, devices + 1, dtype=np.int64), subject


@contextmanager
def _replica(folder: str) -> Iterator[tuple[str, psutil.Process]]:
    port = free_port()
    command = [sys.executable, "-m", "carbon.bench.web.replica", folder, str(port)]
    process = subprocess.Popen(command)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(url, process)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url: str, process: subprocess.Popen[bytes], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx2.get(f"{url}/healthz", timeout=1.0).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise RuntimeError("the service under measurement did not start")


class _Viewers:
    """Sockets that read what they are sent, and count it."""

    def __init__(self, url: str, key: str) -> None:
        self.received = 0
        self._events: dict[socket.socket, int] = {}
        self._tails: dict[socket.socket, bytes] = {}
        self._ready = selectors.DefaultSelector()
        address = urlsplit(url)
        asked = (
            f"GET /web/live.events HTTP/1.1\r\nHost: {address.netloc}\r\n"
            f"Authorization: Bearer {key}\r\n\r\n"
        )
        for _ in range(_VIEWERS):
            one = socket.create_connection((address.hostname or "", address.port or 80))
            one.sendall(asked.encode())
            self._events[one] = 0
            self._tails[one] = b""
            self._ready.register(one, selectors.EVENT_READ)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def events(self) -> int:
        return sum(self._events.values())

    def wait_for_all(self, events: int, timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while min(self._events.values()) < events:
            if time.monotonic() > deadline:
                raise RuntimeError("the viewers are not told of the fleet")
            time.sleep(0.05)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        for one in self._events:
            one.close()

    def _run(self) -> None:
        while not self._ends.is_set():
            for key, _ in self._ready.select(0.2):
                one = cast(socket.socket, key.fileobj)
                part = one.recv(1 << 20)
                if not part:
                    self._ready.unregister(one)
                    continue
                self.received += len(part)
                text = self._tails[one] + part
                self._events[one] += text.count(_EVENT)
                # A mark that the next part completes is counted then.
                self._tails[one] = text[-len(_EVENT) + 1 :]


@contextmanager
def _viewers(url: str, key: str) -> Iterator[_Viewers]:
    viewers = _Viewers(url, key)
    try:
        yield viewers
    finally:
        viewers.close()
