"""How quickly the agent looks, and what tracking costs the program that asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from carbon.bench.figure import Figure, Options, at_most
from carbon.collect.cpu_model import CpuFigures, FigureCache, Machine

_IMPORT = """
import time
started = time.perf_counter()
import carbon
print((time.perf_counter() - started) * 1000)
"""
#: From the start of the process, interpreter and imports included, to the first look.
_FIRST_SAMPLE = """
import sys, time
from pathlib import Path
from carbon.collect.host_agent import Agent, AgentOptions
agent = Agent(AgentOptions(Path(sys.argv[1])))
agent.start()
now = time.time()
ticks = int(open("/proc/self/stat").read().rpartition(")")[2].split()[19])
booted = time.time() - float(open("/proc/uptime").read().split()[0])
import os
print((now - booted - ticks / os.sysconf("SC_CLK_TCK")) * 1000)
agent.stop(last_delivery_s=0)
"""
#: Where an agent runs and no server does.
_TRACK = """
import time, sys
from statistics import median
from pathlib import Path
import carbon
calls, stops = [], []
for _ in range(int(sys.argv[1])):
    started = time.perf_counter()
    tracker = carbon.track("bench/block")
    entered = tracker.__enter__()
    calls.append((time.perf_counter() - started) * 1000)
    time.sleep(0.05)
    started = time.perf_counter()
    tracker.__exit__(None, None, None)
    stops.append((time.perf_counter() - started) * 1000)
assert tracker.measured is not None and tracker.measured.by == "agent"
print(median(calls[1:]), median(stops[1:]), calls[0])
"""


def start(options: Options) -> list[Figure]:
    rounds = 5 if options.quick else 15
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        FigureCache(folder / "agent").put(Machine.here(), CpuFigures(60_000, 10_000, "bench"))
        imports = [float(_told(_IMPORT)) for _ in range(rounds)]
        firsts = [float(_told(_FIRST_SAMPLE, name)) for _ in range(rounds)]
        call_ms, stop_ms, first_ms = _track(folder, 4 * rounds)
    first_call = f"median; the first call of a program {first_ms:.0f} ms, imports included"
    return [
        at_most("first sample after start", median(firsts), "ms", 150.0, "from exec on"),
        at_most("import carbon", median(imports), "ms", 100.0),
        at_most("carbon.track beside an agent", call_ms, "ms", 1.0, first_call),
        at_most("its end with the server down", stop_ms, "ms", 50.0, "median"),
    ]


def _track(folder: Path, rounds: int) -> tuple[float, float, float]:
    nowhere = {"CARBON_DATA_DIR": str(folder), "CARBON_URL": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "carbon.collect.agent", f"--data-dir={folder}"]
    agent = subprocess.Popen(command, env={**os.environ, **nowhere}, stderr=subprocess.PIPE)
    assert agent.stderr is not None
    try:
        while b"samples" not in (line := agent.stderr.readline()):
            assert line, "the agent ended"
        call_ms, stop_ms, first_ms = _told(_TRACK, str(rounds), **nowhere).split()
    finally:
        agent.kill()
        agent.communicate()
    return float(call_ms), float(stop_ms), float(first_ms)


def _told(program: str, *arguments: str, **environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
