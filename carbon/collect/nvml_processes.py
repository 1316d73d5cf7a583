"""Who is on a GPU, as the NVIDIA driver tells it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from carbon.collect.nvml_calls import ProcessCalls, UtilSample
from carbon.collect.nvml_mig import MigInstances
from carbon.collect.source import ProcessUse

#: NVML_VALUE_NOT_AVAILABLE, and values next to it: memory that the driver does not tell.
_NOT_AVAILABLE: Final = 2**64 - 1024
_NO_INSTANCE: Final = 2**32 - 1


class Context(NamedTuple):
    """A process's hold on a GPU, or on an instance of it."""

    pid: int
    memory_bytes: int | None
    #: None without MIG.
    instance: int | None


def processes(
    nvml: Any, calls: ProcessCalls, handle: Any, since_us: int, parts: MigInstances
) -> Sequence[ProcessUse] | None:
    """Processes with work since `since_us` (wall clock) or memory now; None where untold.

    `activity` is None throughout where neither process samples are kept (MIG, old GPUs) nor the
    activity of instances is told.
    """
    contexts = _contexts(nvml, calls, handle)
    active: Mapping[int, float] | None = _active(nvml, calls, handle, since_us)
    if not active and contexts is not None and _may_be_split(contexts):
        active = _by_instance(contexts, parts) or active
    if active is None and contexts is None:
        return None
    resting = None if active is None else 0.0
    active, held = active or {}, _held(contexts or ())
    return [
        ProcessUse(pid, active.get(pid, resting), held.get(pid)) for pid in sorted({*active, *held})
    ]


def _may_be_split(contexts: Sequence[Context]) -> bool:
    """Where nobody is on the GPU, nobody shows whether it is."""
    return all(context.instance is not None for context in contexts)


def _by_instance(contexts: Sequence[Context], parts: MigInstances) -> Mapping[int, float] | None:
    """An instance's activity goes to who is in it, by memory held there, else equally."""
    inside: dict[int, list[Context]] = {}
    for context in contexts:
        if context.instance is not None:
            inside.setdefault(context.instance, []).append(context)
    told = parts.activity(inside.keys())
    if not told:
        return None
    active: dict[int, float] = {}
    for instance, members in inside.items():
        weights = [member.memory_bytes or 0 for member in members]
        if not any(weights):
            weights = [1] * len(members)
        for member, weight in zip(members, weights, strict=True):
            part = told[instance] * weight / sum(weights)
            active[member.pid] = active.get(member.pid, 0.0) + part
    return active


def _active(nvml: Any, calls: ProcessCalls, handle: Any, since_us: int) -> dict[int, float] | None:
    # A driver's buffer may hold entries from before the time asked for, and unused ones.
    try:
        told = calls.utilisation(handle, since_us)
        samples = [sample for sample in told if sample[0] and sample[1] > since_us]
    except nvml.NVMLError as error:
        # Nobody had work: an old driver says not-found, a new one succeeds with an empty list.
        return {} if error.value == nvml.NVML_ERROR_NOT_FOUND else None
    return activity_by_pid(samples)


def activity_by_pid(samples: Sequence[UtilSample]) -> dict[int, float]:
    """Time-weighted mean activity over the time that the samples span, 0..1 for each pid.

    A sample stands for the time since the stamp before it, of whatever process; the first one
    for as long as the shortest of the others. A stamp without a sample of a pid is rest.
    """
    spans = _spans(sorted({stamp_us for _, stamp_us, _ in samples}))
    whole = sum(spans.values())
    busy: dict[int, int] = {}
    for pid, stamp_us, percent in samples:
        if percent <= 100:  # blank values are large
            busy[pid] = busy.get(pid, 0) + percent * spans[stamp_us]
    return {pid: min(1.0, weight / (100 * whole)) for pid, weight in busy.items()}


def _spans(stamps: Sequence[int]) -> dict[int, int]:
    spans = {after: after - before for before, after in pairwise(stamps)}
    return {stamps[0]: min(spans.values(), default=1), **spans} if stamps else {}


def _contexts(nvml: Any, calls: ProcessCalls, handle: Any) -> Sequence[Context] | None:
    try:
        return [
            Context(
                pid,
                None if memory_bytes >= _NOT_AVAILABLE else memory_bytes,
                None if instance == _NO_INSTANCE else instance,
            )
            for pid, memory_bytes, instance in calls.contexts(handle)
        ]
    except nvml.NVMLError:
        return None


def _held(contexts: Sequence[Context]) -> dict[int, int | None]:
    """Bytes by process; under MIG one may have several contexts."""
    held: dict[int, int | None] = {}
    for pid, memory_bytes, _ in contexts:
        if memory_bytes is None:
            held.setdefault(pid, None)
        else:
            held[pid] = (held.get(pid) or 0) + memory_bytes
    return held
