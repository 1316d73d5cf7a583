"""NVIDIA GPUs, through the driver's management library (nvidia-ml-py)."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from carbon.clock import Clock, SystemClock
from carbon.collect import nvml_processes
from carbon.collect.nvml_calls import Field, FieldBuffer, ProcessCalls, Reading, sample_value
from carbon.collect.nvml_mig import MigInstances
from carbon.collect.source import Device, DeviceKind, ProcessUse, Sample
from carbon.errors import Unavailable

DRIVER: Final = "libnvidia-ml.so.1"
#: NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION in mJ, NVML_FI_DEV_POWER_INSTANT and _AVERAGE in mW.
ENERGY: Final = Field(83, 0)
INSTANT: Final = Field(186, 0)
AVERAGE: Final = Field(185, 0)
#: Scope 1 is the module: CPU and GPU behind one sensor.
MODULE_INSTANT: Final = Field(186, 1)
MODULE_AVERAGE: Final = Field(185, 1)
PROBED: Final = (ENERGY, INSTANT, AVERAGE, MODULE_INSTANT, MODULE_AVERAGE)

#: From here on a value says "not supported" or "not known" and not how much.
BLANK_64: Final = 2**63 - 1024
BLANK_32: Final = 0x7FFF_FFF0

#: NVML_DEVICE_ARCH_AMPERE. From there on nvmlDeviceGetPowerUsage is a mean over a second, but
#: an instant on GA100 (NVIDIA's NVML reference).
AMPERE: Final = 7
GA100_MODELS: Final = ("A100", "A800", "A30")

#: The driver's stamp replaces the time of the look where it lies this far back. Below, the
#: wall clock's millisecond would add more error than the stamp removes; above, the stamp
#: belongs to no look of ours.
STAMP_AGE_NS: Final = range(2_000_000, 1_000_000_000)
#: How far back process samples are asked for; a driver makes one each 1/6 to 1 s.
ACTIVITY_WINDOW_US: Final = 1_500_000


class _Gpu(Struct, frozen=True):
    """A GPU with the ways of reading it that answered when it was last probed."""

    handle: Any
    device: Device
    fields: tuple[Field, ...]
    #: Where the driver writes those; None where there are none.
    buffer: FieldBuffer | None
    #: Plain calls that stand in for missing fields: total energy, power usage.
    asks_energy: bool
    asks_power: bool
    #: The driver keeps power readings of its own, closer together than our looks: they are taken
    #: where there is no counter.
    asks_samples: bool
    power_usage_is_averaged: bool

    def believed(self, values: Sequence[int | None]) -> tuple[int | None, int | None]:
        """Counter in mJ and power in mW, of what was told of `fields`."""
        counter_mj = power_mw = None
        for field, value in zip(self.fields, values, strict=True):
            if field is ENERGY:
                counter_mj = _believable_mj(value)
            else:
                power_mw = _believable_mw(value)
        return counter_mj, power_mw

    @property
    def field_is_averaged(self) -> bool:
        return self.fields[-1:] in ((AVERAGE,), (MODULE_AVERAGE,))


class NvmlSource:
    """Raises Unavailable `nvml_absent` without the library, `nvml_failed` where it will not start.

    Not for use across a fork: make it in the process that reads.
    """

    name = "nvml"

    def __init__(self, clock: Clock | None = None) -> None:
        if not _has_driver():
            raise _absent()
        # Imported late: it takes long, and most machines that import the client have no GPU.
        import pynvml

        self._nvml: Any = pynvml
        self._clock = clock or SystemClock()
        self._gpus: dict[str, _Gpu] | None = None
        #: Looks that the next `sample` tells of.
        self._earlier: list[Sample] = []
        self._parts: dict[str, MigInstances] = {}
        #: The driver's stamp of each GPU's last power reading that was taken, µs.
        self._taken_us: dict[str, int] = {}
        self._start()
        self._process_calls = ProcessCalls(pynvml)

    def devices(self) -> Sequence[Device]:
        """The GPUs that answer, each probed anew."""
        self._gpus = {gpu.device.uuid: gpu for gpu in self._probe_all()}
        for parts in self._parts.values():
            parts.look_again()
        return [gpu.device for gpu in self._gpus.values()]

    def sample(self) -> Sequence[Sample]:
        """One trip to the driver for each GPU that answers field values."""
        self._known()
        self.glance()
        for gpu in list(self._known().values()):
            self._earlier += self._kept(gpu) if gpu.asks_samples else self._looks(gpu)
        looks, self._earlier = self._earlier, []
        return looks

    def glance(self) -> None:
        """A look at every GPU, of which the next `sample` tells: it costs the calls alone."""
        for gpu in list((self._gpus or {}).values()):
            if gpu.asks_samples:
                continue  # the driver looks for us
            if gpu.buffer is None:
                self._earlier += self._asked(gpu)
                continue
            if gpu.buffer.is_full:
                self._earlier += self._looks(gpu)
            gpu.buffer.take(self._clock.monotonic_ns)
            if gpu.asks_energy or gpu.asks_power:
                self._earlier += self._looks(gpu)

    def processes(self, device: str) -> Sequence[ProcessUse] | None:
        gpu = self._known().get(device)
        if gpu is None:
            return None
        since_us = self._clock.now_ms() * 1000 - ACTIVITY_WINDOW_US
        parts = self._parts.setdefault(device, MigInstances(self._nvml, gpu.handle))
        return nvml_processes.processes(
            self._nvml, self._process_calls, gpu.handle, since_us, parts
        )

    def close(self) -> None:
        for parts in self._parts.values():
            parts.close()
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return  # another library in this process has shut it down

    def _start(self) -> None:
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            if error.value == self._nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
                raise _absent() from error
            raise _failed(error) from error

    def _known(self) -> dict[str, _Gpu]:
        if self._gpus is None:
            self.devices()
        return self._gpus or {}

    def _probe_all(self) -> Iterator[_Gpu]:
        for index in range(self._count()):
            try:
                yield self._probe(self._nvml.nvmlDeviceGetHandleByIndex(index))
            except self._nvml.NVMLError as error:
                self._raise_if_gone(error)

    def _count(self) -> int:
        nvml = self._nvml
        try:
            try:
                return int(nvml.nvmlDeviceGetCount())
            except nvml.NVMLError_Uninitialized:
                self._start()  # another library in this process shut NVML down
                return int(nvml.nvmlDeviceGetCount())
        except nvml.NVMLError as error:
            raise _failed(error) from error

    def _probe(self, handle: Any) -> _Gpu:
        nvml = self._nvml
        uuid, model = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
        answered = self._answered(handle)
        fields = _wanted(answered, 0)
        asks_energy = ENERGY not in fields and self._counter(handle) is not None
        asks_power = not {INSTANT, AVERAGE} & set(fields) and self._power(handle) is not None
        kind, limit_mw = DeviceKind.GPU, self._ask(nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
        if not (fields or asks_energy or asks_power) and answered:
            # The limit is the GPU's; what the module as a whole may draw is not told.
            kind, limit_mw, fields = DeviceKind.MODULE, None, _wanted(answered, 1)
        device = Device(uuid, kind, model, limit_mw)
        has_counter = asks_energy or ENERGY in fields
        asks_samples = kind is DeviceKind.GPU and not has_counter and self._keeps_samples(handle)
        if asks_samples:  # those from before we looked are not ours to count
            self._taken_us.setdefault(uuid, self._clock.now_ms() * 1000)
        averaged = asks_power and self._averages(handle, model)
        buffer = self._buffer(handle, fields)
        asked = (asks_energy, asks_power, asks_samples)
        return _Gpu(handle, device, fields, buffer, *asked, averaged)

    def _answered(self, handle: Any) -> Collection[Field]:
        """What of all that could be asked for is told; raises NVMLError where the GPU is lost."""
        buffer = self._buffer(handle, PROBED)
        if buffer is None:
            return ()
        buffer.take(self._clock.monotonic_ns)
        (reading,) = buffer.told()
        if reading.code not in (0, self._nvml.NVML_ERROR_NOT_SUPPORTED):
            raise self._nvml.NVMLError(reading.code)
        told = zip(PROBED, reading.values, strict=True)
        return {field for field, value in told if _is_believable(field, value)}

    def _averages(self, handle: Any, model: str) -> bool:
        architecture = self._ask(self._nvml.nvmlDeviceGetArchitecture, handle)
        if architecture == AMPERE:
            return not any(name in model for name in GA100_MODELS)
        return architecture is None or architecture > AMPERE

    def _looks(self, gpu: _Gpu) -> Iterator[Sample]:
        """What was taken of a GPU that tells field values."""
        if gpu.buffer is None:
            return
        wall_less_monotonic_ns = self._clock.now_ms() * 1_000_000 - self._clock.monotonic_ns()
        misses = False
        for reading in gpu.buffer.told():
            if reading.code not in (0, self._nvml.NVML_ERROR_NOT_SUPPORTED):
                self._raise_if_gone(self._nvml.NVMLError(reading.code))
                continue
            at_ns = _time_of(reading, wall_less_monotonic_ns)
            believed = gpu.believed(reading.values)
            misses |= len(gpu.fields) + believed.count(None) > len(believed)
            sample = self._sampled(gpu, at_ns, *believed)
            if sample is not None:
                yield sample
        if misses:
            self._probe_again(gpu)

    def _keeps_samples(self, handle: Any) -> bool:
        try:
            self._nvml.nvmlDeviceGetSamples(handle, self._nvml.NVML_TOTAL_POWER_SAMPLES, 0)
        except self._nvml.NVMLError as error:
            self._raise_if_gone(error)
            return bool(error.value == self._nvml.NVML_ERROR_NOT_FOUND)
        return True

    def _kept(self, gpu: _Gpu) -> Iterator[Sample]:
        """The driver's own readings since the last that was taken."""
        uuid, nvml = gpu.device.uuid, self._nvml
        now_ns, wall_ms = self._clock.monotonic_ns(), self._clock.now_ms()
        # Where the wall clock was set back, the last stamp lies in the future.
        since_us = min(self._taken_us[uuid], wall_ms * 1000)
        try:
            kind, told = nvml.nvmlDeviceGetSamples(
                gpu.handle, nvml.NVML_TOTAL_POWER_SAMPLES, since_us
            )
        except nvml.NVMLError as error:
            self._raise_if_gone(error)
            if error.value != nvml.NVML_ERROR_NOT_FOUND:  # which says: nothing since
                self._probe_again(gpu)
            return
        for sample in told:
            power_mw = _believable_mw(sample_value(kind, sample))
            age_ns = wall_ms * 1_000_000 - sample.timeStamp * 1000
            if sample.timeStamp > since_us and age_ns >= 0 and power_mw is not None:
                since_us = self._taken_us[uuid] = sample.timeStamp
                yield Sample(uuid, now_ns - age_ns, power_mw=power_mw)

    def _asked(self, gpu: _Gpu) -> Iterator[Sample]:
        """Of a GPU that answers plain calls alone."""
        sample = self._sampled(gpu, self._clock.monotonic_ns(), None, None)
        if sample is not None:
            yield sample

    def _sampled(
        self, gpu: _Gpu, at_ns: int, counter_mj: int | None, power_mw: int | None
    ) -> Sample | None:
        """What fields told, and plain calls in the place of those that there are not."""
        averaged = gpu.field_is_averaged
        if counter_mj is None and gpu.asks_energy:
            counter_mj = self._counter(gpu.handle)
        if power_mw is None and gpu.asks_power:
            power_mw, averaged = self._power(gpu.handle), gpu.power_usage_is_averaged
        if counter_mj is None and power_mw is None:
            return None
        return Sample(
            gpu.device.uuid, at_ns, counter_mj, power_mw, averaged and power_mw is not None
        )

    def _probe_again(self, gpu: _Gpu) -> None:
        """A GPU stopped giving a field: the next look goes by what it gives now."""
        try:
            probed = self._probe(gpu.handle)
        except self._nvml.NVMLError as error:
            self._raise_if_gone(error)
        else:
            self._known()[gpu.device.uuid] = probed

    def _buffer(self, handle: Any, fields: Sequence[Field]) -> FieldBuffer | None:
        """None where there is nothing to read, or an old driver lacks the call."""
        try:
            return FieldBuffer(self._nvml, handle, fields) if fields else None
        except self._nvml.NVMLError_FunctionNotFound:
            return None

    def _counter(self, handle: Any) -> int | None:
        return _believable_mj(self._ask(self._nvml.nvmlDeviceGetTotalEnergyConsumption, handle))

    def _power(self, handle: Any) -> int | None:
        return _believable_mw(self._ask(self._nvml.nvmlDeviceGetPowerUsage, handle))

    def _ask(self, call: Callable[[Any], int], handle: Any) -> int | None:
        try:
            return int(call(handle))
        except self._nvml.NVMLError as error:
            self._raise_if_gone(error)
            return None

    def _raise_if_gone(self, error: Any) -> None:
        """Tells the loss of the driver from that of one GPU, which costs that GPU alone."""
        nvml = self._nvml
        if error.value in (
            nvml.NVML_ERROR_UNINITIALIZED,
            nvml.NVML_ERROR_DRIVER_NOT_LOADED,
            nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
        ):
            self._gpus = None
            raise _failed(error) from error


def _has_driver() -> bool:
    """False only where the system's loader knows no such library."""
    if sys.platform != "linux" or "pynvml" in sys.modules:
        return True
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


def _absent() -> Unavailable:
    return Unavailable("nvml_absent", f"no NVIDIA driver library ({DRIVER}): no GPU is measured")


def _failed(error: Exception) -> Unavailable:
    detail = f"the NVIDIA driver does not answer ({error}); see what `nvidia-smi` says"
    return Unavailable("nvml_failed", detail)


def _wanted(answered: Collection[Field], scope: int) -> tuple[Field, ...]:
    """The counter, and the best of the powers: each field costs time at every look."""
    powers = [f for f in (INSTANT, AVERAGE, MODULE_INSTANT, MODULE_AVERAGE) if f.scope == scope]
    power = next((field for field in powers if field in answered), None)
    counter = ENERGY if ENERGY in answered else None
    return tuple(field for field in (counter, power) if field is not None)


def _time_of(reading: Reading, wall_less_monotonic_ns: int) -> int:
    """A look's monotonic time; the driver's own where it answered from a cache."""
    stamp_ns = reading.stamp_us * 1000 - wall_less_monotonic_ns
    is_cached = reading.stamp_us and reading.at_ns - stamp_ns in STAMP_AGE_NS
    return stamp_ns if is_cached else reading.at_ns


def _is_believable(field: Field, value: int | None) -> bool:
    believable = _believable_mj if field is ENERGY else _believable_mw
    return believable(value) is not None


def _believable_mj(value: int | None) -> int | None:
    """None for blanks."""
    return value if value is not None and 0 <= value < BLANK_64 else None


def _believable_mw(value: int | None) -> int | None:
    """None for blanks, and for zero: no GPU that answers draws nothing."""
    return value if value is not None and 0 < value < BLANK_32 else None
