"""`carbon bench hardware`: what real GPUs and their driver do, where there are any.

Everything that this needs is here and in the agent: no checkout, no CUDA toolkit. Load comes
from PyTorch where it is installed; without it the GPUs are measured as they are.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, Final

from carbon.bench.figure import Figure, Options, not_taken, reported
from carbon.bench.power_limits import sweep
from carbon.collect.nvml import NvmlSource
from carbon.collect.source import Device, Sample
from carbon.errors import Unavailable

#: Works each GPU in a square wave: period and busy part in s, and for how long; prints how many
#: rounds of a fixed piece of work it did while busy.
_WORK: Final = """
import sys, time
try:
    import torch
except ImportError:
    sys.exit(3)
if not torch.cuda.is_available():
    sys.exit(3)
period_s, busy_s, span_s = map(float, sys.argv[1:])
sides = [torch.randn(4096, 4096, device=f"cuda:{n}", dtype=torch.float16)
         for n in range(torch.cuda.device_count())]
def work():
    for side in sides:
        torch.matmul(side, side)
    for n in range(len(sides)):
        torch.cuda.synchronize(n)
for _ in range(20):
    work()
print("ready", flush=True)
started = time.perf_counter()
rounds = 0
while (now := time.perf_counter() - started) < span_s:
    if now % period_s < busy_s:
        work()
        rounds += 1
    else:
        time.sleep(min(0.001, period_s - now % period_s))
print(rounds, flush=True)
"""
_SQUARES_MS: Final = (10, 20, 50, 100, 200, 500)
#: Two-sided 95 % of Student's t by degrees of freedom; from 20 on the last.
_T95: Final = (
    *(12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23),
    *(2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09),
)
#: Fewer pairs of on and off say little; for a look two will do.
_PAIRS, _PAIRS_QUICK = 12, 2


def measure(options: Options) -> list[Figure]:
    try:
        source = NvmlSource()
        devices = source.devices()
    except Unavailable as error:
        return [not_taken("everything on real GPUs", "", error.detail)]
    if not devices:
        return [not_taken("everything on real GPUs", "", "the driver knows no GPU")]
    span_s = 2.0 if options.quick else 20.0
    figures = [
        *_latencies(source, devices, 20 if options.quick else 1_000),
        *_update_period(source, devices, span_s / 2),
        *_gaps("idle", source, devices, span_s),
        *_under_load(source, devices, span_s),
        *_slowdown(_PAIRS_QUICK if options.quick else _PAIRS, span_s / 2),
        *sweep(source, devices, span_s, _work_measured),
    ]
    source.close()
    return figures


def _latencies(source: NvmlSource, devices: Sequence[Device], rounds: int) -> Iterator[Figure]:
    """What a call takes; the first of each is left out."""
    first = devices[0]
    calls: dict[str, Callable[[], object]] = {
        "one look at all GPUs": source.sample,
        "processes of one GPU": lambda: source.processes(first.uuid),
        "probe of all GPUs": source.devices,
    }
    for name, call in calls.items():
        count = max(3, rounds // 20) if name.startswith("probe") else rounds
        took_us = sorted(_timed_us(call) for _ in range(count + 1))
        p99 = took_us[min(len(took_us) - 1, int(len(took_us) * 0.99))]
        note = f"{len(devices)} x {first.model}; p99 {p99:.0f} µs"
        yield reported(name, median(took_us), "µs", note)


def _timed_us(call: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1000


def _update_period(source: NvmlSource, devices: Sequence[Device], span_s: float) -> list[Figure]:
    """Median time between two moves of each counter, looked at as quickly as the driver lets."""
    looks = _looks(source, span_s, pause_s=0.0)
    figures = []
    for device in devices:
        moves_ns = _moves(looks.get(device.uuid, []))
        name = f"counter's update period, {_short(device)}"
        if len(moves_ns) < 3:
            figures.append(not_taken(name, "ms", "the counter moved less than three times"))
            continue
        periods_ms = [(after - before) / 1e6 for before, after in pairwise(moves_ns)]
        note = f"longest {max(periods_ms):.1f} ms"
        figures.append(reported(name, median(periods_ms), "ms", note))
    return figures


def _moves(looks: Sequence[Sample]) -> list[int]:
    return [
        after.at_ns for before, after in pairwise(looks) if after.counter_mj != before.counter_mj
    ]


def _gaps(state: str, source: NvmlSource, devices: Sequence[Device], span_s: float) -> list[Figure]:
    """Counter against integrated instant power, between two moves of the counter."""
    looks = _looks(source, span_s, pause_s=0.01)
    figures = []
    for device in devices:
        compared = _compared(looks.get(device.uuid, []))
        name = f"counter over integrated power, {state}, {_short(device)}"
        if compared is None:
            why = "the device gives no counter beside its power, or it did not move"
            figures.append(not_taken(name, "%", why))
            continue
        note = f"{compared.mean_w:.1f} W by the counter over {compared.span_s:.1f} s"
        figures.append(reported(name, compared.gap_percent, "%", note))
    return figures


@dataclass(frozen=True, slots=True)
class _Compared:
    span_s: float
    mean_w: float
    gap_percent: float


def _compared(looks: Sequence[Sample]) -> _Compared | None:
    known = [s for s in looks if s.counter_mj is not None and s.power_mw is not None]
    moves = [n for n, (a, b) in enumerate(pairwise(known), 1) if a.counter_mj != b.counter_mj]
    if len(moves) < 2:
        return None
    part = known[moves[0] : moves[-1] + 1]
    span_s = (part[-1].at_ns - part[0].at_ns) / 1e9
    counted_mj = (part[-1].counter_mj or 0) - (part[0].counter_mj or 0)
    drawn_mj = sum(
        ((a.power_mw or 0) + (b.power_mw or 0)) / 2 * (b.at_ns - a.at_ns) / 1e9
        for a, b in pairwise(part)
    )
    gap = 100 * (counted_mj / drawn_mj - 1) if drawn_mj else float("nan")
    return _Compared(span_s, counted_mj / span_s / 1000, gap)


def _under_load(source: NvmlSource, devices: Sequence[Device], span_s: float) -> Iterator[Figure]:
    waves = [("busy", 1.0, 1.0)]
    waves += [(f"square {ms} ms", ms / 1000, ms / 2000) for ms in _SQUARES_MS]
    for state, period_s, busy_s in waves:
        with _load(period_s, busy_s, span_s + 5) as runs:
            if not runs:
                why = "needs PyTorch with CUDA in this environment"
                yield not_taken("counter over integrated power under load", "%", why)
                return
            yield from _gaps(state, source, devices, span_s)


def _slowdown(rounds: int, span_s: float) -> list[Figure]:
    """Work done with the agent on and off, turn by turn; the difference with its interval."""
    name = "work lost to the agent"
    differences = []
    for turn in range(rounds):
        pair = {}
        for is_on in (True, False) if turn % 2 else (False, True):
            with _agent(is_on):
                pair[is_on] = _work_done(span_s)
        with_agent, without = pair[True], pair[False]
        if not with_agent or not without:
            return [not_taken(name, "%", "needs PyTorch with CUDA in this environment")]
        differences.append(100 * (1 - with_agent / without))
    half = t95(rounds) * stdev(differences) / sqrt(rounds) if rounds > 1 else float("nan")
    note = f"95 % interval ± {half:.2f}, n = {rounds}, A/B in turns, {span_s:g} s each"
    return [reported(name, mean(differences), "%", note)]


def t95(count: int) -> float:
    """Of the mean of so many differences."""
    return _T95[min(count - 2, len(_T95) - 1)]


def _looks(source: NvmlSource, span_s: float, pause_s: float) -> dict[str, list[Sample]]:
    looks: dict[str, list[Sample]] = {}
    until_s = time.perf_counter() + span_s
    while time.perf_counter() < until_s:
        for sample in source.sample():
            looks.setdefault(sample.device, []).append(sample)
        time.sleep(pause_s)
    return looks


@contextmanager
def _load(period_s: float, busy_s: float, span_s: float) -> Iterator[bool]:
    """Whether the GPUs are at work inside the block."""
    child = _started_work(period_s, busy_s, span_s)
    try:
        yield _is_ready(child)
    finally:
        child.kill()
        child.communicate()


def _work_done(span_s: float) -> int | None:
    """Rounds of work in so long; None where nothing can work the GPUs."""
    return _work_measured(span_s, lambda: None)


def _work_measured(span_s: float, begin: Callable[[], None]) -> int | None:
    """As above; `begin` is called as the work begins."""
    child = _started_work(1.0, 1.0, span_s)
    if not _is_ready(child):
        child.communicate()
        return None
    begin()
    told, _ = child.communicate()
    return int(told)


def _started_work(*seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _WORK, *map(str, seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _is_ready(child: subprocess.Popen[bytes]) -> bool:
    assert child.stdout is not None
    return child.stdout.readline().strip() == b"ready"


@contextmanager
def _agent(is_on: bool) -> Iterator[None]:
    if not is_on:
        yield
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "carbon.collect.agent", f"--data-dir={Path(folder)}"]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, env=dict(os.environ), **quiet)
        try:
            time.sleep(2.0)
            yield
        finally:
            child.terminate()
            child.wait(15)


def _short(device: Device) -> str:
    return f"{device.model} {device.uuid[-8:]}"
