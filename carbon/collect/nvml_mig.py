"""What the instances of a partitioned GPU do (MIG), from the driver's performance monitors (GPM).

A driver tells no process's SM time under MIG, and an instance draws from no sensor of its own. GPM,
on Hopper and newer, tells how busy an instance's SMs were between two samples; weighed with its
slices that is the instance's part of the whole GPU's activity.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

#: NVML_GPM_METRIC_SM_UTIL and _GRAPHICS_UTIL, in percent; the second where the first is untold.
_METRICS: Final = (2, 1)


class MigInstances:
    """Of one GPU; to be asked about once a second."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml, self._handle = nvml, handle
        #: Slices by instance, and how many the whole GPU has; read anew where it is split anew.
        self._slices: dict[int, int] = {}
        self._is_stale = True
        self._whole = 1
        self._before: dict[int, Any] = {}
        self._spare: list[Any] = []

    def activity(self, instances: Collection[int]) -> Mapping[int, float] | None:
        """Each instance's part of the GPU's activity since this was last asked, 0..1, in sum at
        most 1. None where not all of those asked for can be told, as at the first time.

        All instances are looked at, so that one that somebody enters has a look before that.
        """
        if self._is_stale or not set(instances) <= self._slices.keys():
            self._slices = dict(self._listed())
            self._is_stale = False
        told = {instance: self._busy(instance) for instance in self._slices}
        active = {
            instance: busy * self._slices[instance] / self._whole
            for instance, busy in told.items()
            if busy is not None
        }
        return active if set(instances) <= active.keys() else None

    def look_again(self) -> None:
        """The GPU may have been split anew under the same numbers."""
        self._is_stale = True

    def close(self) -> None:
        for sample in [*self._before.values(), *self._spare]:
            with suppress(self._nvml.NVMLError):
                self._nvml.nvmlGpmSampleFree(sample)
        self._before, self._spare = {}, []

    def _listed(self) -> Iterator[tuple[int, int]]:
        nvml = self._nvml
        try:
            count = self._whole = max(1, nvml.nvmlDeviceGetMaxMigDeviceCount(self._handle))
        except nvml.NVMLError:
            return
        for index in range(count):
            try:  # the list has holes
                part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(self._handle, index)
                slices = nvml.nvmlDeviceGetAttributes_v2(part).gpuInstanceSliceCount
                yield nvml.nvmlDeviceGetGpuInstanceId(part), slices
            except nvml.NVMLError:
                continue

    def _busy(self, instance: int) -> float | None:
        """Share of its SMs' time, 0..1; None at first, and where the driver does not tell."""
        nvml = self._nvml
        before = self._before.pop(instance, None)
        try:
            now = self._spare.pop() if self._spare else nvml.nvmlGpmSampleAlloc()
            nvml.nvmlGpmMigSampleGet(self._handle, instance, now)
            self._before[instance] = now
            return self._between(before, now) if before is not None else None
        except nvml.NVMLError:
            return None
        finally:
            if before is not None:
                self._spare.append(before)

    def _between(self, before: Any, now: Any) -> float | None:
        nvml = self._nvml
        asked = nvml.c_nvmlGpmMetricsGet_t()
        asked.version = nvml.NVML_GPM_METRICS_GET_VERSION
        asked.numMetrics = len(_METRICS)
        asked.sample1, asked.sample2 = before, now
        for number, metric in enumerate(_METRICS):
            asked.metrics[number].metricId = metric
        nvml.nvmlGpmMetricsGet(asked)
        told = (asked.metrics[number] for number in range(len(_METRICS)))
        values = (m.value for m in told if not m.nvmlReturn and math.isfinite(m.value))
        percent = next(values, None)
        return None if percent is None else min(1.0, max(0.0, percent / 100))
