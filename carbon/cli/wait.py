"""`carbon wait`: returns when the grid is clean, and in time whatever any forecast says.

It searches its one window by itself and not through `planning`: it belongs to the base install,
where NumPy is not, and looks at some hundred points.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from carbon.cli.output import print_json
from carbon.errors import InvalidInput, Retryable

#: A wait is looked at anew so often: a fresher forecast may open the window earlier.
_LOOK_EVERY_S: Final = 300.0
#: A server is given so long to answer, and is not asked where less is left.
_ANSWER_MS: Final = 5_000
#: Kinds of intensity that may shift a job.
_SHIFTS: Final = frozenset({"actual", "estimated", "forecast", "typical"})
_LONGEST_H: Final = 168


@dataclass(frozen=True, slots=True)
class Window:
    """When to go, and why; the mean intensity then and now, where known."""

    start_ms: int
    reason: str
    g_per_kwh: float | None = None
    now_g_per_kwh: float | None = None


def register(app: typer.Typer) -> None:
    app.command()(wait)


def wait(
    deadline: Annotated[str, typer.Option(help="By when it must be done: RFC 3339, or 6h.")],
    length: Annotated[str, typer.Option(help="How long it runs, such as 1h.")],
    zone: Annotated[str | None, typer.Option(help="By default this machine's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Return when the cleanest window before a deadline opens; never later than it allows."""
    from carbon.wire.durations import parse_duration_ms, resolve_moment_ms

    began_ms = _now_ms()
    length_ms = parse_duration_ms(length)
    deadline_ms = resolve_moment_ms(deadline, began_ms)
    latest_ms = deadline_ms - length_ms
    if length_ms <= 0 or latest_ms < began_ms:
        raise InvalidInput("deadline_too_soon", "it does not fit before the deadline")
    window = _foreseen(zone, length_ms, deadline_ms)
    # A window that was planned and has opened is taken: planned anew a moment late, an equally
    # clean one ahead would look better by a hair, for ever.
    while (left_ms := window.start_ms - _now_ms()) > 0:
        time.sleep(min(left_ms / 1000, _LOOK_EVERY_S))
        if window.start_ms - _now_ms() > _ANSWER_MS:
            window = _foreseen(zone, length_ms, deadline_ms)
    _tell(window, began_ms, latest_ms, json)


def _foreseen(zone: str | None, length_ms: int, deadline_ms: int) -> Window:
    """The window as it is foreseen now. Without a server or a forecast: at once."""
    from carbon.client import Client
    from carbon.grid.host_zone import host_zone
    from carbon.settings import Settings

    now_ms = _now_ms()
    hours = min(_LONGEST_H, max(1, -(-(deadline_ms - now_ms) // 3_600_000)))
    try:
        with Client(timeout_s=_ANSWER_MS / 1000) as client:
            answer = client.forecast(zone or host_zone(Settings().zone).zone, hours=hours)
    except Retryable:
        return Window(now_ms, "no_server")
    return cleanest(answer["points"], now_ms, length_ms, deadline_ms)


def cleanest(
    points: Sequence[Mapping[str, Any]], now_ms: int, length_ms: int, deadline_ms: int
) -> Window:
    """The start with the lowest mean over the length, of equals the earliest. What is priced
    with a yearly figure, or not known throughout, shifts nothing."""
    known = [
        (_ms(p["start"]), _ms(p["end"]), p["g_per_kwh"]) for p in points if p["kind"] in _SHIFTS
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


def _tell(window: Window, began_ms: int, latest_ms: int, json: bool) -> None:
    told = {
        "reason": window.reason,
        "waited_s": round((_now_ms() - began_ms) / 1000, 3),
        "latest_start": datetime.fromtimestamp(latest_ms / 1000, UTC).isoformat(),
        "g_per_kwh": window.g_per_kwh,
    }
    if json:
        print_json(told)
    else:
        typer.echo(f"go: {window.reason.replace('_', ' ')}, after {told['waited_s']:.0f} s")


def _ms(text: str) -> int:
    from carbon.clock import from_rfc3339

    return from_rfc3339(text)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
