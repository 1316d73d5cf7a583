"""CPU and memory of the agent on a node of eight GPUs, with CodeCarbon's tracker beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from carbon.bench.agent.scripted import environment, scripts
from carbon.bench.figure import Figure, Options, at_most, not_taken, reported
from carbon.clock import SystemClock
from carbon.collect.cpu_model import CpuFigures, FigureCache, Machine

_GPUS, _PROCESSES = 8, 50
_SETTLE_S = 5.0
_TRACKER = """
import sys, time
from codecarbon import OfflineEmissionsTracker
tracker = OfflineEmissionsTracker(country_iso_code="DEU", save_to_file=False, log_level="error")
tracker.start()
print("started", flush=True)
sys.stdin.read()
"""


def cost(folder: Path, options: Options) -> list[Figure]:
    span_s = 10.0 if options.quick else 60.0
    with tempfile.TemporaryDirectory() as name, _sleepers() as pids:
        script = _script(Path(name), pids)
        env = {**os.environ, **environment(folder, script)}
        with _agent(Path(name), env) as agent, _tracker(Path(name), env) as tracker:
            time.sleep(_SETTLE_S)
            spent = _spent_percent([agent, tracker], span_s)
            others = len(psutil.pids())
            ours = agent.memory_info().rss / 1e6
            theirs = tracker.memory_info().rss / 1e6 if tracker else None
    told = f"{_GPUS} GPUs, {_PROCESSES} processes on them, {others} on the machine, {span_s:g} s"
    figures = [
        at_most("agent at 10 Hz", spent[0], "% of one core", 0.5, told),
        at_most("memory of the agent", ours, "MB resident", 60.0),
    ]
    if theirs is None or spent[1] is None:
        why = "CodeCarbon's tracker did not start"
        return [*figures, not_taken("CodeCarbon's tracker beside it", "% of one core", why)]
    note = "as it comes: a look each 15 s, power of the GPUs each second"
    return [
        *figures,
        reported("CodeCarbon's tracker beside it", spent[1], "% of one core", note),
        reported("memory of CodeCarbon's tracker", theirs, "MB resident"),
    ]


def _spent_percent(processes: list[psutil.Process | None], span_s: float) -> list[float]:
    """Share of one core over the same span; NaN stands for none."""

    def cpu_s(process: psutil.Process | None) -> float:
        times = process.cpu_times() if process else None
        return float(times.user + times.system) if times else float("nan")

    before, started = [cpu_s(p) for p in processes], time.perf_counter()
    time.sleep(span_s)
    passed_s = time.perf_counter() - started
    return [100 * (cpu_s(p) - spent) / passed_s for p, spent in zip(processes, before, strict=True)]


def _script(folder: Path, pids: list[int]) -> Path:
    nvml = scripts()
    bursts = nvml.Power.bursts([(230, 140_000), (270, 600_000), (110, 300_000)])
    gpus = tuple(
        nvml.Gpu(
            f"GPU-{number}",
            bursts,
            processes=tuple(nvml.Process(pid, 15) for pid in pids[number::_GPUS]),
        )
        for number in range(_GPUS)
    )
    path: Path = nvml.Script(gpus, epoch_ms=SystemClock().now_ms()).write(folder / "script.txt")
    return path


@contextmanager
def _sleepers() -> Iterator[list[int]]:
    children = [
        subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
        for _ in range(_PROCESSES)
    ]
    try:
        yield [child.pid for child in children]
    finally:
        for child in children:
            child.kill()
            child.communicate()


@contextmanager
def _agent(folder: Path, env: dict[str, str]) -> Iterator[psutil.Process]:
    FigureCache(folder / "agent").put(Machine.here(), CpuFigures(60_000, 10_000, "bench"))
    command = [sys.executable, "-m", "carbon.collect.agent", f"--data-dir={folder}"]
    child = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        child.wait(15)


@contextmanager
def _tracker(folder: Path, env: dict[str, str]) -> Iterator[psutil.Process | None]:
    """CodeCarbon looks for GPUs by running nvidia-smi: one that says nothing will do."""
    stand_in = folder / "nvidia-smi"
    stand_in.write_text("#!/bin/sh\n")
    stand_in.chmod(0o755)
    child = subprocess.Popen(
        [sys.executable, "-c", _TRACKER],
        env={**env, "PATH": f"{folder}:{env.get('PATH', '')}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    assert child.stdout is not None
    try:
        started = child.stdout.readline().strip() == b"started"
        yield psutil.Process(child.pid) if started else None
    finally:
        child.kill()
        child.communicate()
