"""The driver calls that are made many times a second, without an object for each element.

The binding's own versions of them take five times as long. Layouts are those of nvml.h, which
the library keeps for the symbols that carry a version.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

_FIELD_VALUE: Final = struct.Struct("IIqqII8s")  # id, scope, stamp, latency, type, code, union
_UTIL_SAMPLE: Final = struct.Struct("I4xQIIII")  # pid, stamp µs, SM, memory, encoder, decoder
_PROCESS_INFO: Final = struct.Struct("I4xQII")  # pid, bytes, GPU and compute instance
#: How the union of a field value is read, by NVML_VALUE_TYPE.
_MEMBERS: Final = tuple(struct.Struct(code) for code in ("d", "I", "Q", "Q", "q", "i", "H"))
#: More elements than a call mostly has; where it has more, the driver says how many.
_ROOM: Final = 64


class Field(NamedTuple):
    """A field value and its scope, as nvmlDeviceGetFieldValues takes them."""

    id: int
    scope: int


class FieldBuffer:
    """A fixed list of fields of one device. `read` raises NVMLError where the call as a whole
    fails."""

    def __init__(self, nvml: Any, handle: Any, fields: Sequence[Field]) -> None:
        self._nvml, self._handle, self._fields = nvml, handle, fields
        self._call = nvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")
        self._buffer = bytearray(
            b"".join(_FIELD_VALUE.pack(f.id, f.scope, 0, 0, 0, 0, b"") for f in fields)
        )
        self._address = (ctypes.c_char * len(self._buffer)).from_buffer(self._buffer)

    def read(self) -> tuple[dict[Field, int], int]:
        """Values of the fields that answered, and the driver's stamp in µs, 0 where it has none."""
        code = self._call(self._handle, len(self._fields), self._address)
        if code:
            raise self._nvml.NVMLError(code)
        values: dict[Field, int] = {}
        first_stamp_us = 0
        for field, element in zip(
            self._fields, _FIELD_VALUE.iter_unpack(self._buffer), strict=True
        ):
            _, _, stamp_us, _, kind, code, union = element
            first_stamp_us = first_stamp_us or stamp_us
            if not code and kind < len(_MEMBERS):
                (value,) = _MEMBERS[kind].unpack_from(union)
                if value == value:  # NaN differs from itself
                    values[field] = int(value)
        return values, first_stamp_us


class ProcessCalls:
    """Who is on a device; buffers are used again for each device, so one thread may call."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._samples = bytearray(_ROOM * _UTIL_SAMPLE.size)
        self._infos = bytearray(_ROOM * _PROCESS_INFO.size)

    def utilisation(self, handle: Any, since_us: int) -> Iterator[tuple[int, int, int]]:
        """(pid, stamp in µs, percent of SM time); raises NVMLError, NOT_FOUND for none."""
        call = self._nvml._nvmlGetFunctionPointer("nvmlDeviceGetProcessUtilization")
        since = ctypes.c_ulonglong(since_us)
        self._samples, count = self._filled(
            lambda room, count: call(handle, room, count, since), self._samples, _UTIL_SAMPLE.size
        )
        for pid, stamp_us, percent, _, _, _ in _elements(_UTIL_SAMPLE, self._samples, count):
            yield pid, stamp_us, percent

    def memory(self, handle: Any) -> Iterator[tuple[int, int]]:
        """(pid, bytes held) for each context; raises NVMLError."""
        call = self._nvml._nvmlGetFunctionPointer("nvmlDeviceGetComputeRunningProcesses_v3")
        self._infos, count = self._filled(
            lambda room, count: call(handle, count, room), self._infos, _PROCESS_INFO.size
        )
        for pid, memory_bytes, _, _ in _elements(_PROCESS_INFO, self._infos, count):
            yield pid, memory_bytes

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
