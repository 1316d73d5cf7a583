"""Whether an Arrow IPC stream holds compressed buffers, asked before any is unpacked.

A message (Arrow columnar format, "Encapsulated message format") is a marker, the length of its
metadata and a FlatBuffers table; a record batch's fourth field, if there, names its compression.
"""

from __future__ import annotations

import struct

from carbon.errors import MalformedInput

_CONTINUES = 0xFFFFFFFF
#: Kinds of message (Message.fbs).
_DICTIONARY, _RECORDS = 2, 3
#: Places of fields: of Message; of DictionaryBatch; of RecordBatch.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_DATA = 1
_COMPRESSION = 3


def has_compressed_buffers(body: bytes) -> bool:
    """Raises MalformedInput(`malformed_arrow`) for what is no stream of messages."""
    at = 0
    try:
        while at < len(body):
            marker, length = struct.unpack_from("<Ii", body, at)
            if marker != _CONTINUES:
                raise MalformedInput("malformed_arrow", "the body is no Arrow IPC stream")
            if length == 0:
                return False
            message = _Table.root(body, at + 8)
            if _is_compressed(message):
                return True
            at += 8 + length + message.int64(_BODY_LENGTH)
            if length < 0 or at < 0:
                raise MalformedInput("malformed_arrow", "a length in the Arrow stream is below 0")
    except (struct.error, IndexError):
        raise MalformedInput("malformed_arrow", "the Arrow stream is cut off") from None
    return False


class _Table:
    """A FlatBuffers table: where each of its fields stands."""

    def __init__(self, buffer: bytes, at: int) -> None:
        self._buffer, self._at = buffer, at
        self._fields = at - struct.unpack_from("<i", buffer, at)[0]

    @classmethod
    def root(cls, buffer: bytes, at: int) -> _Table:
        return cls(buffer, at + struct.unpack_from("<I", buffer, at)[0])

    def _place(self, field: int) -> int | None:
        size: int = struct.unpack_from("<H", self._buffer, self._fields)[0]
        if 4 + 2 * field >= size:
            return None
        offset: int = struct.unpack_from("<H", self._buffer, self._fields + 4 + 2 * field)[0]
        return self._at + offset if offset else None

    def has(self, field: int) -> bool:
        return self._place(field) is not None

    def byte(self, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else self._buffer[place]

    def int64(self, field: int) -> int:
        place = self._place(field)
        return 0 if place is None else int(struct.unpack_from("<q", self._buffer, place)[0])

    def table(self, field: int) -> _Table | None:
        place = self._place(field)
        return None if place is None else _Table.root(self._buffer, place)


def _is_compressed(message: _Table) -> bool:
    header = message.table(_HEADER)
    if message.byte(_HEADER_TYPE) == _DICTIONARY and header is not None:
        header = header.table(_DATA)
    elif message.byte(_HEADER_TYPE) != _RECORDS:
        return False
    return header is not None and header.has(_COMPRESSION)
