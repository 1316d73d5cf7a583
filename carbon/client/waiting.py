"""Waiting for the clean window: `carbon wait`, and `carbon.deferrable` for a function.

The one window is searched here and not through `planning`: this belongs to the base install,
where NumPy is not, and looks at some hundred points.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from carbon.clock import from_rfc3339
from carbon.errors import CarbonError, InvalidInput, Retryable
from carbon.wire.durations import parse_duration_ms, resolve_moment_ms

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

#: A wait is looked at anew so often: a fresher forecast may open the window earlier.
_LOOK_EVERY_S: Final = 300.0
#: A server is given so long to answer, and is not asked where less is left.
_ANSWER_MS: Final = 5_000
#: Kinds of intensity that may shift a job.
_SHIFTS: Final = frozenset({"actual", "estimated", "forecast", "typical"})
_LONGEST_H: Final = 168
_NO_SERVER: Final = "no_server"


@dataclass(frozen=True, slots=True)
class Window:
    """When to go, and why; the mean intensity then and now, where known."""

    start_ms: int
    reason: str
    g_per_kwh: float | None = None
    now_g_per_kwh: float | None = None


@dataclass(frozen=True, slots=True)
class Waited:
    window: Window
    waited_ms: int
    #: It would have gone by then whatever any forecast said.
    latest_ms: int


def deferrable(
    deadline: str, length: str, zone: str | None = None
) -> Callable[[Callable[Asked, Answer]], Callable[Asked, Answer]]:
    """A function that waits for the cleanest window before it runs, each time it is called.

    `deadline` is by when it must be done, `length` how long it takes, as `carbon wait` takes them.
    It goes at once where no server answers or nothing known says that waiting helps. Raises
    InvalidInput when it is called, `deadline_too_soon` where it cannot be done in time.
    """

    def decorate(function: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
        @wraps(function)
        def deferred(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
            wait_for_window(deadline, length, zone)
            return function(*args, **kwargs)

        return deferred

    return decorate


def wait_for_window(
    deadline: str,
    length: str,
    zone: str | None = None,
    tell: Callable[[Wait], None] = lambda _wait: None,
) -> Waited:
    """Returns when the cleanest window opens, and never later than the deadline allows. `tell`
    hears of each start that it waits for.

    Raises InvalidInput (`deadline_too_soon`, `invalid_duration`, `invalid_moment`).
    """
    wait = Wait.of(deadline, length, zone)
    wait.look()
    told_ms = None
    while (nap_s := wait.nap_s()) > 0:
        if wait.window.start_ms != told_ms:
            told_ms = wait.window.start_ms
            tell(wait)
        time.sleep(nap_s)
        wait.look_again()
    return wait.waited()


@dataclass(slots=True)
class Wait:
    """One wait, whoever sleeps: a process, or a loop that holds a thousand of them."""

    length_ms: int
    deadline_ms: int
    zone: str | None
    began_ms: int
    window: Window = field(init=False)

    def __post_init__(self) -> None:
        self.window = Window(self.began_ms, "no_forecast")

    @classmethod
    def of(cls, deadline: str, length: str, zone: str | None = None) -> Wait:
        """Raises InvalidInput (`deadline_too_soon`, `invalid_duration`, `invalid_moment`)."""
        now_ms = _now_ms()
        length_ms, deadline_ms = parse_duration_ms(length), resolve_moment_ms(deadline, now_ms)
        if length_ms <= 0 or deadline_ms - length_ms < now_ms:
            raise InvalidInput(
                "deadline_too_soon",
                f"a length of {length} does not fit before the deadline {deadline}; "
                "give a later deadline",
            )
        return cls(length_ms, deadline_ms, zone, now_ms)

    @property
    def latest_ms(self) -> int:
        return self.deadline_ms - self.length_ms

    def look(self) -> None:
        """Plans anew by what is foreseen now. Raises CarbonError where the server refuses."""
        if self.latest_ms > _now_ms():
            self.window = _foreseen(self.zone, self.length_ms, self.deadline_ms)
        else:
            self.window = Window(self.latest_ms, "deadline_guard")

    def look_again(self) -> None:
        """A window that was planned and has opened is taken: planned anew a moment late, an
        equally clean one ahead would look better by a hair, for ever. It also stands where nobody
        answers any more, or refuses to: what waits is to begin, and not to end with an error."""
        if self.window.start_ms - _now_ms() <= _ANSWER_MS:
            return
        planned = self.window
        try:
            self.look()
        except CarbonError:
            return
        if self.window.reason == _NO_SERVER:
            self.window = planned

    def nap_s(self) -> float:
        """How long to sleep until the next look; 0 once it is time to go."""
        return min(max(self.window.start_ms - _now_ms(), 0) / 1000, _LOOK_EVERY_S)

    def waited(self) -> Waited:
        return Waited(self.window, _now_ms() - self.began_ms, self.latest_ms)


def _foreseen(zone: str | None, length_ms: int, deadline_ms: int) -> Window:
    """The window as it is foreseen now. Without a server or a forecast: at once."""
    from carbon.client.http import Client
    from carbon.grid.host_zone import host_zone
    from carbon.settings import Settings

    now_ms = _now_ms()
    hours = min(_LONGEST_H, max(1, -(-(deadline_ms - now_ms) // 3_600_000)))
    try:
        with Client(timeout_s=_ANSWER_MS / 1000) as client:
            answer = client.forecast(zone or host_zone(Settings().zone).zone, hours=hours)
    except Retryable:
        return Window(now_ms, _NO_SERVER)
    return cleanest(answer["points"], now_ms, length_ms, deadline_ms)


def cleanest(
    points: Sequence[Mapping[str, Any]], now_ms: int, length_ms: int, deadline_ms: int
) -> Window:
    """The start with the lowest mean over the length, of equals the earliest. What is priced
    with a yearly figure, or not known throughout, shifts nothing."""
    known = [
        (from_rfc3339(p["start"]), from_rfc3339(p["end"]), p["g_per_kwh"])
        for p in points
        if p["kind"] in _SHIFTS and "zone_unmeasured" not in p.get("flags", ())
    ]
    marks = {now_ms, deadline_ms - length_ms}
    marks |= {at for start, end, _ in known for at in (start, end - length_ms)}
    tried = [
        (mean, at)
        for at in sorted(m for m in marks if now_ms <= m <= deadline_ms - length_ms)
        if (mean := _mean(known, at, at + length_ms)) is not None
    ]
    if not tried:
        return Window(now_ms, "no_forecast")
    mean, start_ms = min(tried)
    at_once = _mean(known, now_ms, now_ms + length_ms)
    reason = "clean_window" if start_ms > now_ms else "now_is_cleanest"
    return Window(start_ms, reason, mean, at_once)


def _mean(known: Sequence[tuple[int, int, float]], start_ms: int, end_ms: int) -> float | None:
    parts = [
        (min(hi, end_ms) - max(lo, start_ms), g)
        for lo, hi, g in known
        if lo < end_ms and hi > start_ms
    ]
    if sum(ms for ms, _ in parts) < end_ms - start_ms:
        return None
    return sum(ms * g for ms, g in parts) / (end_ms - start_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
