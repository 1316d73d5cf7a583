"""From the readings of a counter or gauge to energy and counts: rises, resets, gaps, faults."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from carbon.imports.mapping import Rule

#: Blank values of integer fields, as NVIDIA's libraries write them.
BLANK_FROM: Final = 9.2e18
#: A unit of a thousandth, with what was drawn in between.
_THOUSAND: Final = (700.0, 1400.0)


@dataclass(slots=True)
class Track:
    """How far a running total was read. Lives as long as its device is heard of."""

    at_ms: int
    value: float
    host: str = ""
    #: Subject and workload of whoever was seen on the device at that moment.
    who: list[tuple[str | None, str | None]] = field(default_factory=list)
    #: The last sample, which a value that stands still or dips leaves ahead of the reading.
    seen_ms: int = 0


class Rise(NamedTuple):
    """`amount` (mJ, or units) over [start_ms, end_ms)."""

    start_ms: int
    end_ms: int
    amount: int
    #: A counter's rise over a silence, or its first value after a reset.
    is_bridged: bool


#: Takes the code of a fault and a line about it.
Tell = Callable[[str, str], None]


def is_blank(value: float, rule: Rule) -> bool:
    """Whether a reading is none: not a number, or a marker of `no value`."""
    return not math.isfinite(value) or abs(value) >= BLANK_FROM or value in rule.sentinels


def advance(track: Track, rule: Rule, at_ms: int, value: float, tell: Tell) -> Rise | None:
    """The rise from the track's reading to a later, finite one; moves the track on.

    A fault moves no energy: it is told, and what it hides stays missing.
    """
    if rule.kind == "power":
        return _integrated(track, rule, at_ms, value, tell)
    if value == track.value:
        _stand_still(track, rule, at_ms)
        return None
    if value < track.value:
        return _fallen(track, rule, at_ms, value, tell)
    rise = _between(track, rule, at_ms, track.value, value)
    ratio = value / (track.value or 1.0)
    _move(track, at_ms, value)
    if rule.kind == "energy" and (code := _fault(rule, rise, ratio)):
        tell(code, _in_watts(rule, rise))
        return None
    return rise


def first_rise(rule: Rule, since_ms: int, at_ms: int, value: float) -> Rise | None:
    """What a total that began at zero at a known moment has counted, where that can be."""
    began = Track(min(since_ms, at_ms - 1), 0.0)  # a total may be told as it begins
    rise = _between(began, rule, at_ms, 0.0, value)
    if rule.kind == "power" or (rule.kind == "energy" and _fault(rule, rise, 1.0)):
        return None
    return rise


def whole(rule: Rule, value: float) -> int:
    """In mJ, or in whole units; differences of it telescope exactly."""
    return math.floor(value) if rule.kind == "units" else round(value * rule.scale)


def _between(track: Track, rule: Rule, at_ms: int, before: float, after: float) -> Rise:
    amount = whole(rule, after) - whole(rule, before)
    is_bridged = at_ms - track.at_ms > rule.gap_s * 1000
    return Rise(track.at_ms, at_ms, amount, is_bridged)


def _stand_still(track: Track, rule: Rule, at_ms: int) -> None:
    """An exporter that reads its device more rarely than it is read repeats itself: its next
    rise is that of the whole time. Nobody draws nothing. Counts may stand still, and parts
    of one device keep in step."""
    track.seen_ms = at_ms
    if rule.kind == "units" or rule.parts:
        track.at_ms = at_ms


def _fallen(track: Track, rule: Rule, at_ms: int, value: float, tell: Tell) -> Rise | None:
    before = track.value
    if _is_thousand(before, value) and rule.kind == "energy":
        tell("unit_changed", f"fell from {before:g} to {value:g} {rule.unit}: a thousandth")
        _move(track, at_ms, value)
        return None
    if rule.reset == "wrap" and (rise := _wrapped(track, rule, at_ms, value)):
        _move(track, at_ms, value)
        return rise
    if value > before / 2:
        tell("counter_backwards", f"ran from {before:g} back to {value:g} {rule.unit}")
        if at_ms - track.at_ms > rule.gap_s * 1000:
            _move(track, at_ms, value)
        track.seen_ms = at_ms
        return None
    rise = _between(track, rule, at_ms, 0.0, value)._replace(is_bridged=True)
    _move(track, at_ms, value)
    tell("counter_reset", f"began anew at {value:g} {rule.unit} after {before:g}")
    if rule.reset != "zero":
        return None
    return rise if rule.kind == "units" or _power_w(rise) <= rule.max_w else None


def _wrapped(track: Track, rule: Rule, at_ms: int, value: float) -> Rise | None:
    for end in sorted(rule.wraps_at):
        if end >= track.value:
            rise = _between(track, rule, at_ms, track.value, end + value)
            if _power_w(rise) <= rule.max_w:
                return rise
    return None


def _integrated(track: Track, rule: Rule, at_ms: int, value: float, tell: Tell) -> Rise | None:
    """The trapezoid under two readings of power; over a silence nothing is known."""
    watts = value * rule.scale / 1000
    start_ms, before = track.at_ms, track.value
    if not rule.min_w <= watts <= rule.max_w:
        tell("implausible_power", f"{watts:g} W is not within {rule.min_w:g}-{rule.max_w:g} W")
        return None
    _move(track, at_ms, value)
    if at_ms - start_ms > rule.gap_s * 1000:
        return None
    energy_mj = round((before + value) / 2 * rule.scale / 1000 * (at_ms - start_ms))
    return Rise(start_ms, at_ms, energy_mj, False)


def _fault(rule: Rule, rise: Rise, ratio: float) -> str | None:
    if rule.min_w <= _power_w(rise) <= rule.max_w:
        return None
    return "unit_changed" if _THOUSAND[0] <= ratio <= _THOUSAND[1] else "implausible_power"


def _is_thousand(before: float, after: float) -> bool:
    return after > 0 and _THOUSAND[0] <= before / after <= _THOUSAND[1]


def _power_w(rise: Rise) -> float:
    return rise.amount / (rise.end_ms - rise.start_ms)


def _in_watts(rule: Rule, rise: Rise) -> str:
    return f"{_power_w(rise):g} W on average is not within {rule.min_w:g}-{rule.max_w:g} W"


def _move(track: Track, at_ms: int, value: float) -> None:
    track.at_ms = track.seen_ms = at_ms
    track.value = value
