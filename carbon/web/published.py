"""Answers as other programs read them: moments in RFC 3339, everything else as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from carbon.clock import to_rfc3339


def published(answer: msgspec.Struct) -> Any:
    """JSON-ready. A key that ends in `_ms` holds moments and loses the ending.

    By way of JSON, since an answer may hold JSON as it was stored (`msgspec.Raw`).
    """
    return _published(msgspec.json.decode(msgspec.json.encode(answer)))


def _published(value: Any) -> Any:
    if isinstance(value, dict):
        return dict(_member(key, inner) for key, inner in value.items())
    if isinstance(value, list):
        return [_published(inner) for inner in value]
    return value


def _member(key: str, value: Any) -> tuple[str, Any]:
    if not key.endswith("_ms"):
        return key, _published(value)
    moments = [to_rfc3339(ms) for ms in value] if isinstance(value, list) else _moment(value)
    return key.removesuffix("_ms"), moments


def _moment(ms: int | None) -> str | None:
    return None if ms is None else to_rfc3339(ms)
