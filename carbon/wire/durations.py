"""Moments and durations as people write them: `6h`, `1h30m`, `2026-05-01T06:00:00+02:00`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from carbon.clock import from_rfc3339
from carbon.errors import InvalidInput

_MS_PER_UNIT: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|d|h|m|s)")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
#: Ten years: beyond that a number was meant otherwise.
_LONGEST_MS: Final = 3650 * 86_400_000


@lru_cache(4096)
def parse_duration_ms(text: str) -> int:
    """Days, hours, minutes, seconds and milliseconds: `90s`, `1.5h`, `1h30m`.

    Raises InvalidInput(`invalid_duration`).
    """
    compact = text.strip().lower()
    if not _DURATION.fullmatch(compact):
        raise InvalidInput(
            "invalid_duration", f"{text!r} is no duration; write such as 90s, 10m, 6h or 1h30m"
        )
    total = round(sum(float(n) * _MS_PER_UNIT[unit] for n, unit in _PART.findall(compact)))
    if total > _LONGEST_MS:
        raise InvalidInput("invalid_duration", f"{text!r} is longer than ten years")
    return total


def resolve_past_ms(text: str, now_ms: int) -> int:
    """RFC 3339 with an offset, or how long ago, as epoch ms. Raises InvalidInput."""
    try:
        return now_ms - parse_duration_ms(text)
    except InvalidInput:
        return resolve_moment_ms(text, now_ms)


def resolve_moment_ms(text: str, now_ms: int) -> int:
    """RFC 3339 with an offset, or a duration from now on, as epoch ms.

    Raises InvalidInput(`invalid_moment`).
    """
    try:
        return now_ms + parse_duration_ms(text)
    except InvalidInput as error:
        if "longer" in error.detail:
            raise
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError) as error:
        read = "offset" in str(error)
        told = f"{error}" if read else f"{text!r} is no time; write 2026-05-01T06:00:00Z"
        raise InvalidInput("invalid_moment", f"{told} or a duration such as 6h") from None
