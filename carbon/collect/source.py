"""The contract between a meter of this machine and the agent's loop.

A source looks; it does not integrate, attribute or store. The loop calls `sample` on its
schedule and hands each sample to the device's odometer (`collect.odometer`), which alone
knows how to turn looks into energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from msgspec import Struct


class DeviceKind(StrEnum):
    GPU = "gpu"
    CPU = "cpu"
    DRAM = "dram"
    MODULE = "module"  #: CPU and GPU behind one sensor (Grace-Hopper); never added to its parts


class Device(Struct, frozen=True):
    """Something that draws power, as this machine knows it."""

    #: NVML's UUID for a GPU, else made of the machine's id: stable over reboots.
    uuid: str
    kind: DeviceKind
    model: str
    #: Enforced limit or rated power; bounds what one sample may claim. None where unknown.
    power_limit_mw: int | None = None


class Sample(Struct, frozen=True):
    """One look at one device. Fields that could not be read are None, never 0."""

    device: str
    #: Monotonic time of the look, ns. The source's own time stamp where it has one.
    at_ns: int
    #: Cumulative hardware counter, mJ.
    counter_mj: int | None = None
    #: Power, mW.
    power_mw: int | None = None
    #: The power is a mean over about the last second and not an instant.
    power_is_averaged: bool = False
    #: The power comes from a model and not from a sensor.
    power_is_modelled: bool = False


class ProcessUse(Struct, frozen=True):
    """One process on one device over the last second or so."""

    pid: int
    #: Share of time with its kernels on the device, 0..1; None where it cannot be known.
    activity: float | None = None
    memory_bytes: int | None = None


class Source(Protocol):
    """A family of meters read in one go.

    A device that fails must not stop the others: it is left out of that call's answer. A call
    raises only when the whole family is gone (driver unloaded), with one clear line.
    """

    #: Short name for logs and for `carbon doctor`, such as `nvml`.
    name: str

    def devices(self) -> Sequence[Device]:
        """The devices at hand. Looked up anew at each call; cheap enough for every 30 s."""
        ...

    def sample(self) -> Sequence[Sample]:
        """One look at every device."""
        ...

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        """Who is on the device; None where the source cannot tell (the CPU's case: the loop
        splits by CPU time)."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class GlancingSource(Source, Protocol):
    """One whose looks cost less where several are told of at once."""

    def glance(self) -> None:
        """A look that the next `sample` tells of, before its own."""
        ...
