"""What a power limit costs and saves: the same work under one limit after another.

This changes a setting of the GPUs for as long as it lasts, so it is done where it is asked for
(CARBON_BENCH_POWER_LIMITS=1) and allowed (root), and each limit is put back whatever happens.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from carbon.bench.figure import Figure, not_taken, reported
from carbon.collect.nvml import NvmlSource
from carbon.collect.source import Device

NAME: Final = "power-limit sweep"
_STEPS: Final = 5
#: A new limit holds after so long.
_SETTLE_S: Final = 1.0

#: Works all GPUs for some seconds; calls the first function as the work begins and answers with
#: the rounds done, None where nothing can work them.
Work = Callable[[float, Callable[[], None]], int | None]


@dataclass(frozen=True, slots=True)
class _Limit:
    handle: Any
    now_mw: int
    least_mw: int
    most_mw: int

    def at(self, step: int) -> int:
        return self.least_mw + (self.most_mw - self.least_mw) * step // (_STEPS - 1)


def sweep(
    source: NvmlSource, devices: Sequence[Device], span_s: float, work: Work
) -> Iterator[Figure]:
    if os.environ.get("CARBON_BENCH_POWER_LIMITS") != "1":
        yield not_taken(NAME, "", "it changes a setting: CARBON_BENCH_POWER_LIMITS=1 asks for it")
        return
    nvml: Any = import_module("pynvml")
    try:
        limits = [_limit_of(nvml, device) for device in devices]
        for limit in limits:  # its own once more: whether we may
            nvml.nvmlDeviceSetPowerManagementLimit(limit.handle, limit.now_mw)
    except nvml.NVMLError as error:
        yield not_taken(NAME, "", f"the driver does not let us set limits ({error}): run as root")
        return
    with _put_back(nvml, limits):
        for step in range(_STEPS):
            for limit in limits:
                nvml.nvmlDeviceSetPowerManagementLimit(limit.handle, limit.at(step))
            yield _under_limit(source, limits[0].at(step) / 1000, span_s, work)


def _under_limit(source: NvmlSource, limit_w: float, span_s: float, work: Work) -> Figure:
    begun: list[tuple[float, int]] = []
    time.sleep(_SETTLE_S)
    rounds = work(span_s, lambda: begun.append((time.perf_counter(), _counted_mj(source))))
    name = f"energy of a round of work at {limit_w:.0f} W"
    if not rounds or not begun:
        return not_taken(name, "J", "needs PyTorch with CUDA in this environment")
    started_s, before_mj = begun[0]
    took_s, drawn_mj = time.perf_counter() - started_s, _counted_mj(source) - before_mj
    note = f"{rounds / took_s:.1f} rounds a second, {drawn_mj / 1000 / took_s:.0f} W drawn"
    return reported(name, drawn_mj / 1000 / rounds, "J", note)


def _counted_mj(source: NvmlSource) -> int:
    return sum(sample.counter_mj or 0 for sample in source.sample())


def _limit_of(nvml: Any, device: Device) -> _Limit:
    handle = nvml.nvmlDeviceGetHandleByUUID(device.uuid)
    least_mw, most_mw = nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle)
    return _Limit(handle, nvml.nvmlDeviceGetPowerManagementLimit(handle), least_mw, most_mw)


@contextmanager
def _put_back(nvml: Any, limits: Sequence[_Limit]) -> Iterator[None]:
    try:
        yield
    finally:
        for limit in limits:
            with suppress(nvml.NVMLError):  # one that is lost keeps the others from nothing
                nvml.nvmlDeviceSetPowerManagementLimit(limit.handle, limit.now_mw)
