"""An outage: the agent killed at random, a server that goes away or takes a batch and does not
say so; what the server holds in the end against the script's truth."""

from __future__ import annotations

import gzip
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from carbon.bench.agent.scripted import environment, scripts
from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.clock import SystemClock
from carbon.collect.cpu_model import CpuFigures, FigureCache, Machine
from carbon.domain.energy import Method, Reading, settle
from carbon.wire.energy import EnergyBatch, EnergyInterval

_GPU = "GPU-0"
_DRAIN_S = 30.0
#: How often a stretch finds the disk hanging.
_STALLED = 0.2
#: Of what was asked: answered, taken without an answer, not taken.
_MOODS = ("good", "good", "silent", "away")
_Key = tuple[int, int, str | None]


@dataclass
class _Sink:
    """A ledger of one table: a row is kept under its key, however often it comes."""

    rows: dict[_Key, EnergyInterval] = field(default_factory=dict)
    mood: str = "good"
    silent: int = 0

    def take(self, body: bytes) -> bool:
        """Whether to answer."""
        if self.mood == "away":
            return False
        for row in msgspec.json.decode(body, type=EnergyBatch).intervals:
            if row.device == _GPU:
                self.rows.setdefault((row.start_ms, row.end_ms, row.run or row.subject), row)
        self.silent += self.mood == "silent"
        return self.mood == "good"

    def counted_mj(self) -> int:
        readings = [
            Reading(1, hash(key[2]), row.start_ms, row.end_ms, row.energy_mj, Method.COUNTER)
            for key, row in self.rows.items()
        ]
        return sum(reading.energy_mj for reading in settle(readings))


def outage(folder: Path, options: Options) -> list[Figure]:
    span_s = float(os.environ.get("CARBON_BENCH_OUTAGE_S", 15.0 if options.quick else 120.0))
    nvml, chance = scripts(), random.Random(11)
    gpu = nvml.Gpu(_GPU, nvml.Power.bursts([(230, 140_000), (270, 600_000), (110, 300_000)]))
    epoch_ms = SystemClock().now_ms()
    with tempfile.TemporaryDirectory() as name, serving() as (sink, url):
        script = nvml.Script((gpu,), epoch_ms=epoch_ms).write(Path(name) / "script.txt")
        env = {**os.environ, **environment(folder, script), "CARBON_URL": url, "CARBON_KEY": "k"}
        FigureCache(Path(name) / "agent").put(Machine.here(), CpuFigures(60_000, 10_000, "bench"))
        kills, stalls = _torment(Path(name), env, sink, span_s, chance)
        sink.mood = "good"
        _drain(Path(name), env)
    first_ms = min(start for start, _, _ in sink.rows)
    last_ms = max(end for _, end, _ in sink.rows)
    true_mj = float(gpu.true_energy_mj(first_ms - epoch_ms, last_ms - epoch_ms))
    missing_mj = true_mj - sink.counted_mj()
    # At either end the counter's last move is up to 100 ms away: that is no loss of the outage.
    slack_mj = 600_000 * 0.2
    note = (
        f"{kills} kills of the agent, {sink.silent} answers withheld, {stalls} stalls of its disk, "
        f"{span_s:g} s"
    )
    second_mj = 600_000.0
    lost, doubled = max(0.0, missing_mj - slack_mj), max(0.0, -missing_mj - slack_mj)
    return [
        at_most("lost over kills and outages beyond a second", max(0.0, lost - second_mj), "mJ", 0),
        at_most("counted twice over kills and outages", doubled, "mJ", 0.0, note),
        reported("counter less ledger after it all", missing_mj, "mJ", f"of {true_mj:.0f} mJ"),
    ]


def _torment(
    folder: Path, env: dict[str, str], sink: _Sink, span_s: float, chance: random.Random
) -> tuple[int, int]:
    """Kills and restarts an agent while the server's mood changes and its disk stalls; returns the
    kills and the stalls."""
    until_s, kills, stalls = time.monotonic() + span_s, 0, 0
    while time.monotonic() < until_s:
        agent = _started(folder, env)
        for _ in range(chance.randint(2, 6)):
            sink.mood = chance.choice(_MOODS)
            is_stalled = chance.random() < _STALLED
            stalls += is_stalled
            with _stalled(folder) if is_stalled else nullcontext():
                time.sleep(chance.uniform(0.3, 1.5))
        agent.kill()
        agent.wait()
        kills += 1
    return kills, stalls


@contextmanager
def _stalled(folder: Path) -> Iterator[None]:
    """The agent's file takes nothing meanwhile, as on a disk that hangs."""
    path = folder / "agent" / "spool.db"
    if not path.exists():
        yield
        return
    held = sqlite3.connect(path, timeout=10, isolation_level=None)
    try:
        held.execute("BEGIN IMMEDIATE")
        yield
        held.execute("ROLLBACK")
    finally:
        held.close()


def _drain(folder: Path, env: dict[str, str]) -> None:
    """A last agent delivers what is left and ends as it should."""
    from carbon.client.agent_link import AgentGone, AgentLink
    from carbon.collect.protocol import Flush, Flushed

    agent = _started(folder, env)
    until_s = time.monotonic() + _DRAIN_S
    while time.monotonic() < until_s:
        try:
            link = AgentLink(folder)
            if link.call(Flush(5.0), Flushed, 5.0).pending == 0:
                break
        except AgentGone:
            time.sleep(0.2)
    agent.terminate()
    agent.wait(20)


def _started(folder: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "carbon.collect.agent", f"--data-dir={folder}"]
    return subprocess.Popen([*command, "--period-s=1"], env=env, stderr=subprocess.DEVNULL)


@contextmanager
def serving() -> Iterator[tuple[_Sink, str]]:
    sink = _Sink()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        # Connections stay and an answer is one packet, as with the real server.
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                answers = sink.take(body)
            if not answers:
                self.close_connection = True
                return
            told = b'{"accepted":0,"duplicate":0,"conflict":0,"rejected":[]}'
            self.send_response(202)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield sink, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
