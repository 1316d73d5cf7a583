"""Time, injected: nothing below `app` and `cli` reads the wall clock by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final, Protocol

#: Moments that may be stated: the years 2 to 9998. What they are snapped to, and the civil month
#: around them, can then be written too: the calendar has the years 1 to 9999.
FIRST_MS: Final = -62_104_060_800_000
LAST_MS: Final = 253_370_764_799_999


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never steps; its zero has no meaning."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class FakeClock:
    """A clock that moves only when told to. Shipped, because users test schedules too."""

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._monotonic_ns = 0

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now_ms += round(seconds * 1000)
        self._monotonic_ns += round(seconds * 1e9)

    def step_wall_ms(self, by_ms: int) -> None:
        """Moves the wall clock alone, as NTP or an administrator would."""
        self._now_ms += by_ms


def to_rfc3339(ms: int) -> str:
    """Epoch milliseconds as RFC 3339 in UTC; milliseconds are written only where there are any."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    spec = "milliseconds" if ms % 1000 else "seconds"
    return moment.isoformat(timespec=spec).replace("+00:00", "Z")


def from_rfc3339(text: str) -> int:
    """RFC 3339 with an offset as epoch milliseconds.

    Raises ValueError where the text is no time, lies outside the years 2 to 9998 of UTC, or
    carries no offset: a local time without its zone is not a moment.
    """
    moment = datetime.fromisoformat(text.strip().replace(" ", "T", 1))
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; write e.g. {moment.isoformat()}Z")
    at_ms = round(moment.timestamp() * 1000)
    if not FIRST_MS <= at_ms <= LAST_MS:
        raise ValueError(f"{text!r} lies outside the years 2 to 9998")
    return at_ms
