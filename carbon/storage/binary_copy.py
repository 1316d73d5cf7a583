"""PostgreSQL's binary COPY, to and from columns of whole numbers and floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: Of a column its type, as numpy writes it: `>i8` for a bigint, `>f8` for a double precision.
Kinds = Sequence[str]

_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


def encoded(columns: Sequence[np.ndarray[Any, Any]], kinds: Kinds) -> bytes:
    """What `COPY … FROM STDIN (FORMAT BINARY)` takes, as one buffer."""
    rows = np.empty(len(columns[0]), dtype=_row(kinds))
    rows["fields"] = len(kinds)
    for n, (column, kind) in enumerate(zip(columns, kinds, strict=True)):
        rows[f"length{n}"] = np.dtype(kind).itemsize
        rows[f"value{n}"] = column
    return _HEAD + rows.tobytes() + _END


def decoded(raw: bytes, kinds: Kinds) -> list[np.ndarray[Any, Any]]:
    """The columns of what `COPY … TO STDOUT (FORMAT BINARY)` gave; nothing in it is null."""
    rows = np.frombuffer(raw[len(_HEAD) : -len(_END)], dtype=_row(kinds))
    return [rows[f"value{n}"] for n in range(len(kinds))]


def _row(kinds: Kinds) -> np.dtype[Any]:
    """The number of fields, then each one's length and value."""
    fields = [
        field
        for n, kind in enumerate(kinds)
        for field in ((f"length{n}", ">i4"), (f"value{n}", kind))
    ]
    return np.dtype([("fields", ">i2"), *fields])
