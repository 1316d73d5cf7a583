"""Who is on a GPU, as the NVIDIA driver tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from carbon.collect.source import ProcessUse


class UtilSample(NamedTuple):
    """A process's share of the time before a stamp during which its kernels ran."""

    pid: int
    stamp_us: int
    percent: int


def processes(nvml: Any, handle: Any, since_us: int) -> Sequence[ProcessUse] | None:
    """Processes with work since `since_us` (wall clock) or memory now; None where untold.

    `activity` is None throughout where the driver keeps no process samples (MIG, old GPUs).
    """
    active, held = _active(nvml, handle, since_us), _memory(nvml, handle)
    if active is None and held is None:
        return None
    resting = None if active is None else 0.0
    active, held = active or {}, held or {}
    return [
        ProcessUse(pid, active.get(pid, resting), held.get(pid)) for pid in sorted({*active, *held})
    ]


def _active(nvml: Any, handle: Any, since_us: int) -> dict[int, float] | None:
    try:
        told = nvml.nvmlDeviceGetProcessUtilization(handle, since_us)
    except nvml.NVMLError as error:
        # Nobody had work: an old driver says not-found, a new one succeeds with an empty list,
        # which the binding raises as an error of value 0.
        idle = error.value in (nvml.NVML_SUCCESS, nvml.NVML_ERROR_NOT_FOUND)
        return {} if idle else None
    samples = [UtilSample(s.pid, s.timeStamp, s.smUtil) for s in told]
    # A driver's buffer may hold entries from before the time asked for, and unused ones.
    return activity_by_pid([s for s in samples if s.pid and s.stamp_us > since_us])


def activity_by_pid(samples: Sequence[UtilSample]) -> dict[int, float]:
    """Time-weighted mean activity over the time that the samples span, 0..1 for each pid.

    A sample stands for the time since the stamp before it, of whatever process; the first one
    for as long as the shortest of the others. A stamp without a sample of a pid is rest.
    """
    spans = _spans(sorted({sample.stamp_us for sample in samples}))
    whole = sum(spans.values())
    busy: dict[int, int] = {}
    for sample in samples:
        if sample.percent <= 100:  # blank values are large
            weight = sample.percent * spans[sample.stamp_us]
            busy[sample.pid] = busy.get(sample.pid, 0) + weight
    return {pid: min(1.0, weight / (100 * whole)) for pid, weight in busy.items()}


def _spans(stamps: Sequence[int]) -> dict[int, int]:
    spans = {after: after - before for before, after in pairwise(stamps)}
    return {stamps[0]: min(spans.values(), default=1), **spans} if stamps else {}


def _memory(nvml: Any, handle: Any) -> dict[int, int | None] | None:
    """Bytes for each process with a context; under MIG one has several entries."""
    try:
        contexts = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except nvml.NVMLError:
        return None
    held: dict[int, int | None] = {}
    for context in contexts:
        if context.usedGpuMemory is None:
            held.setdefault(context.pid, None)
        else:
            held[context.pid] = (held.get(context.pid) or 0) + context.usedGpuMemory
    return held
