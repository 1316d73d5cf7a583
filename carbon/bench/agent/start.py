"""How quickly the agent looks, and what tracking costs the program that asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
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
#: From exec on, interpreter and imports included, to the look that energy is counted from.
_FIRST_SAMPLE = """
import sys
from pathlib import Path
from carbon.collect.host_agent import Agent, AgentOptions
agent = Agent(AgentOptions(Path(sys.argv[1])))
agent.start()
print(min(agent.sampler.seen_ns.values()))
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
        compiled = _compiled(folder)
        # The first of each writes what the others find: an installation comes compiled.
        imports = [float(_told(_IMPORT, **compiled)) for _ in range(rounds + 1)][1:]
        firsts = [_first_sample_ms(name, compiled) for _ in range(rounds + 1)][1:]
        call_ms, stop_ms, first_ms = _track(folder, 4 * rounds, compiled)
    first_call = f"median; the first call of a program {first_ms:.0f} ms, imports included"
    return [
        at_most("first sample after start", median(firsts), "ms", 150.0, "from exec on, median"),
        at_most("import carbon", median(imports), "ms", 100.0),
        at_most("carbon.track beside an agent", call_ms, "ms", 1.0, first_call),
        at_most("its end with the server down", stop_ms, "ms", 50.0, "median"),
    ]


def _compiled(folder: Path) -> dict[str, str]:
    """Python writes bytecode, and beside no source of a checkout."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def _first_sample_ms(folder: str, compiled: dict[str, str]) -> float:
    started_ns = time.monotonic_ns()
    return (int(_told(_FIRST_SAMPLE, folder, **compiled)) - started_ns) / 1e6


def _track(folder: Path, rounds: int, compiled: dict[str, str]) -> tuple[float, float, float]:
    nowhere = {"CARBON_DATA_DIR": str(folder), "CARBON_URL": "http://127.0.0.1:9", **compiled}
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
