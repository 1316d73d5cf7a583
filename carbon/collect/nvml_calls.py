"""The driver calls that are made many times a second, without an object for each element.

The binding's own versions of them take five times as long. Layouts are those of nvml.h, which
the library keeps for the symbols that carry a version.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

#: id, scope, stamp, latency, type, code, union
_FIELD_VALUE: Final = struct.Struct("IIqqII8s")
#: What is looked at of one: the whole list is read in one go.
_TOLD: Final = "8xq8xII8s"
_UTIL_SAMPLE: Final = struct.Struct("I4xQIIII")  # pid, stamp µs, SM, memory, encoder, decoder
_PROCESS_INFO: Final = struct.Struct("I4xQII")  # pid, bytes, GPU and compute instance
#: How the union of a field value is read, by NVML_VALUE_TYPE.
_MEMBERS: Final = tuple(
    struct.Struct(code).unpack_from for code in ("d", "I", "Q", "Q", "q", "i", "H")
)
#: More elements than a call mostly has; where it has more, the driver says how many.
_ROOM: Final = 64
#: Of one device, until they are decoded: over a second at the usual rates.
READINGS_KEPT: Final = 16


#: A process, a stamp in µs, and the percent of the time before it during which its kernels ran.
UtilSample = tuple[int, int, int]


class Field(NamedTuple):
    """A field value and its scope, as nvmlDeviceGetFieldValues takes them."""

    id: int
    scope: int


class Reading(NamedTuple):
    """What a device told at one moment."""

    #: Of the call's end, monotonic ns.
    at_ns: int
    #: The driver's return code of the call as a whole; nothing is told where it is not 0.
    code: int
    #: In the order of the fields that were asked for; None for one that is not told.
    values: Sequence[int | None]
    #: The driver's stamp in µs, 0 where it has none.
    stamp_us: int


class FieldBuffer:
    """A fixed list of fields of one device.

    What the driver writes is kept as it is until it is asked for: many times a second only the
    call itself is made, and what it told is decoded a few at a time.
    """

    def __init__(self, nvml: Any, handle: Any, fields: Sequence[Field]) -> None:
        self._handle, self._fields, self._count = handle, fields, len(fields)
        self._call = nvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")
        asked = b"".join(_FIELD_VALUE.pack(f.id, f.scope, 0, 0, 0, 0, b"") for f in fields)
        self._buffer = bytearray(asked * READINGS_KEPT)
        self._layout = struct.Struct(_TOLD * self._count)
        row = ctypes.c_char * len(asked)
        self._rows = [
            row.from_buffer(self._buffer, number * len(asked)) for number in range(READINGS_KEPT)
        ]
        #: When each row was filled, and how the call ended.
        self._taken: list[tuple[int, int]] = []

    @property
    def is_full(self) -> bool:
        return len(self._taken) == READINGS_KEPT

    def take(self, now_ns: Callable[[], int]) -> None:
        """For one that is not full."""
        code = self._call(self._handle, self._count, self._rows[len(self._taken)])
        self._taken.append((now_ns(), code))

    def told(self) -> list[Reading]:
        """What was taken since the last time, oldest first."""
        taken, self._taken = self._taken, []
        size = self._layout.size
        return [
            self._decoded(number * size, at_ns, code) for number, (at_ns, code) in enumerate(taken)
        ]

    def _decoded(self, offset: int, at_ns: int, code: int) -> Reading:
        if code:
            return Reading(at_ns, code, [None] * self._count, 0)
        told = self._layout.unpack_from(self._buffer, offset)
        values = list(map(_decoded, told[1::4], told[2::4], told[3::4]))
        return Reading(at_ns, 0, values, next(filter(None, told[::4]), 0))


def _decoded(kind: int, failure: int, union: bytes) -> int | None:
    if failure or not 0 <= kind < len(_MEMBERS):
        return None
    value = _MEMBERS[kind](union)[0]
    return int(value) if value == value else None  # NaN differs from itself


class ProcessCalls:
    """Who is on a device; buffers are used again for each device, so one thread may call."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._samples = bytearray(_ROOM * _UTIL_SAMPLE.size)
        self._infos = bytearray(_ROOM * _PROCESS_INFO.size)

    def utilisation(self, handle: Any, since_us: int) -> list[UtilSample]:
        """(pid, stamp in µs, percent of SM time); raises NVMLError, NOT_FOUND for none."""
        call = self._nvml._nvmlGetFunctionPointer("nvmlDeviceGetProcessUtilization")
        since = ctypes.c_ulonglong(since_us)
        self._samples, count = self._filled(
            lambda room, count: call(handle, room, count, since), self._samples, _UTIL_SAMPLE.size
        )
        return [told[:3] for told in _elements(_UTIL_SAMPLE, self._samples, count)]  # type: ignore[misc]

    def contexts(self, handle: Any) -> Iterator[tuple[int, int, int]]:
        """(pid, bytes held, GPU instance) for each context; raises NVMLError."""
        call = self._nvml._nvmlGetFunctionPointer("nvmlDeviceGetComputeRunningProcesses_v3")
        self._infos, count = self._filled(
            lambda room, count: call(handle, count, room), self._infos, _PROCESS_INFO.size
        )
        for pid, memory_bytes, instance, _ in _elements(_PROCESS_INFO, self._infos, count):
            yield pid, memory_bytes, instance

    def _filled(self, call: Any, buffer: bytearray, size: int) -> tuple[bytearray, int]:
        """Again with more room where it was too small: the list may grow in between, too."""
        while True:
            count = ctypes.c_uint(len(buffer) // size)
            code = call((ctypes.c_char * len(buffer)).from_buffer(buffer), ctypes.byref(count))
            if code == self._nvml.NVML_ERROR_INSUFFICIENT_SIZE:
                buffer = bytearray((2 * count.value + _ROOM) * size)
            elif code:
                raise self._nvml.NVMLError(code)
            else:
                return buffer, count.value


def _elements(layout: struct.Struct, buffer: bytearray, count: int) -> Iterator[tuple[int, ...]]:
    return layout.iter_unpack(memoryview(buffer)[: count * layout.size])


def sample_value(kind: int, sample: Any) -> int | None:
    """Of an element of nvmlDeviceGetSamples; None where it is no number."""
    return _decoded(kind, 0, bytes(sample.sampleValue))
