"""Who is on a GPU, as the NVIDIA driver tells it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from carbon.collect.nvml_calls import ProcessCalls
from carbon.collect.source import ProcessUse

#: NVML_VALUE_NOT_AVAILABLE, and values next to it: memory that the driver does not tell.
_NOT_AVAILABLE: Final = 2**64 - 1024


class UtilSample(NamedTuple):
    """A process's share of the time before a stamp during which its kernels ran."""

    pid: int
    stamp_us: int
    percent: int


def processes(
    nvml: Any, calls: ProcessCalls, handle: Any, since_us: int
) -> Sequence[ProcessUse] | None:
    """Processes with work since `since_us` (wall clock) or memory now; None where untold.

    `activity` is None throughout where the driver keeps no process samples (MIG, old GPUs).
    """
    active, held = _active(nvml, calls, handle, since_us), _memory(nvml, calls, handle)
    if active is None and held is None:
        return None
    resting = None if active is None else 0.0
    active, held = active or {}, held or {}
    return [
        ProcessUse(pid, active.get(pid, resting), held.get(pid)) for pid in sorted({*active, *held})
    ]


def _active(nvml: Any, calls: ProcessCalls, handle: Any, since_us: int) -> dict[int, float] | None:
    # A driver's buffer may hold entries from before the time asked for, and unused ones.
    try:
        samples = [
            UtilSample(pid, stamp_us, percent)
            for pid, stamp_us, percent in calls.utilisation(handle, since_us)
            if pid and stamp_us > since_us
        ]
    except nvml.NVMLError as error:
        # Nobody had work: an old driver says not-found, a new one succeeds with an empty list.
        return {} if error.value == nvml.NVML_ERROR_NOT_FOUND else None
    return activity_by_pid(samples)


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


def _memory(nvml: Any, calls: ProcessCalls, handle: Any) -> dict[int, int | None] | None:
    """Bytes for each process with a context; under MIG one has several entries."""
    held: dict[int, int | None] = {}
    try:
        for pid, memory_bytes in calls.memory(handle):
            if memory_bytes >= _NOT_AVAILABLE:
                held.setdefault(pid, None)
            else:
                held[pid] = (held.get(pid) or 0) + memory_bytes
    except nvml.NVMLError:
        return None
    return held
