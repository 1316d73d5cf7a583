"""SCI by team, workload, zone and device over time, from the quarter-hour roll-ups."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection

from carbon.clock import to_rfc3339
from carbon.domain.civil import civil_days
from carbon.domain.principal import Principal
from carbon.domain.units import (
    BUCKET_MS,
    MS_PER_DAY,
    MS_PER_HOUR,
    QUARTER_MS,
    ceil_to,
    floor_to,
)
from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.rollup.rollup import roll_up
from carbon.services.rollup.unit_sums import counted_by_step
from carbon.services.sci.counting import DEVICE_HOUR, RUN
from carbon.services.sci.series_points import Counts, Dimension, Series
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import workload_names
from carbon.storage.ledger_rows import buckets_with_energy, devices_by_id
from carbon.storage.ratings import ratings
from carbon.storage.series import (
    counts_by_step,
    first_quarter_ms,
    run_ends,
    series_rows,
)
from carbon.storage.unit_counts import units_of_each
from carbon.storage.unit_definitions import definition_of
from carbon.wire.durations import parse_duration_ms
from carbon.wire.series import SeriesAnswer

#: Groups times steps of one answer.
MOST_POINTS: Final = 10_000
DAY, MONTH = "day", "month"


@dataclass(frozen=True, slots=True)
class SeriesQuestion:
    group_by: tuple[Dimension, ...] = ()
    start_ms: int | None = None
    end_ms: int | None = None
    #: A multiple of 15m, `day` or `month` (of CARBON_TIMEZONE); None is the whole window.
    step: str | None = None
    unit: str | None = None
    #: Of one workload alone, `team/name`.
    workload: str | None = None


def parse_group_by(text: str) -> tuple[Dimension, ...]:
    """`team,workload`. Raises InvalidInput(`unknown_group`)."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return tuple(dict.fromkeys(Dimension(name) for name in names))
    except ValueError:
        raise InvalidInput(
            "unknown_group", f"group_by takes {', '.join(Dimension)}, with commas"
        ) from None


def sci_series(context: Context, principal: Principal, asked: SeriesQuestion) -> SeriesAnswer:
    """Figures of every group in every step; of the principal's own team, unless it sees all.

    Raises InvalidInput: `end_before_start`, `invalid_step`, `too_many_points`,
    `unit_needs_workload`.
    """
    _check_unit(asked)
    roll_up(context, end_ms=asked.end_ms)
    now_ms = context.clock.now_ms()
    with reading(context.engine) as connection:
        window, flags = _window(connection, asked, now_ms)
        timezone = ZoneInfo(context.settings.timezone)
        steps = _steps(asked.step, *window, timezone)
        series = _load(connection, principal, asked, steps, timezone)
    return SeriesAnswer(
        to_rfc3339(window[0]),
        to_rfc3339(window[1]),
        asked.step or "window",
        [str(dimension) for dimension in asked.group_by],
        series.groups(),
        series.total(),
        flags,
    )


def _load(
    connection: Connection,
    principal: Principal,
    asked: SeriesQuestion,
    steps: Sequence[tuple[int, int]],
    timezone: ZoneInfo,
) -> Series:
    team = None if principal.sees_all_teams else principal.team
    names = dict(workload_names(connection, team))
    if asked.workload is not None:
        names = {id_: name for id_, name in names.items() if str(name) == asked.workload}
    is_whole = team is None and asked.workload is None
    rows = series_rows(connection, steps, None if is_whole else list(names), timezone)
    is_countable = _is_countable(asked.group_by)
    seen = sorted(set(np.unique(rows.workload).tolist()) & names.keys()) if is_countable else []
    own = units_of_each(connection, seen)
    made = Series(
        group_by=asked.group_by,
        steps=steps,
        rows=rows,
        names=names,
        devices=devices_by_id(connection, np.unique(rows.device).tolist()),
        ratings=ratings(connection),
        book=factor_book(connection),
        counts={
            id_: _counts(connection, id_, own[id_], asked.unit, steps, timezone) for id_ in seen
        },
    )
    if made.size > MOST_POINTS:
        raise _too_many()
    return made


def _is_countable(group_by: Collection[Dimension]) -> bool:
    """Counts belong to a workload as a whole: a zone's or device's part of them is not known."""
    by = set(group_by)
    return Dimension.WORKLOAD in by and not by & {Dimension.ZONE, Dimension.DEVICE}


def _counts(
    connection: Connection,
    workload_id: int,
    own: Mapping[str, int],
    unit: str | None,
    steps: Sequence[tuple[int, int]],
    timezone: ZoneInfo,
) -> Counts:
    """In the unit that was asked for, else the workload's only one of its own, else runs."""
    if unit is None and len(own) > 1:
        return Counts(None, {})
    unit = unit or next(iter(own), RUN)
    if unit == DEVICE_HOUR or not steps:
        return Counts(DEVICE_HOUR, None)
    made = definition_of(connection, own[unit]) if unit in own else None
    if made is not None and made.conversion is not None:
        of = _counts(connection, workload_id, own, made.conversion.of, steps, timezone)
        return _converted(unit, of, made.conversion.factor)
    start_ms, end_ms = steps[0][0], steps[-1][1]
    if unit in own and any(hi - lo >= MS_PER_DAY for lo, hi in steps):
        return Counts(unit, counted_by_step(connection, workload_id, own[unit], steps, timezone))
    if unit in own:
        powered = buckets_with_energy(connection, workload_id, start_ms, end_ms)
        return Counts(unit, counts_by_step(connection, own[unit], powered, steps, BUCKET_MS))
    if unit == RUN:
        return Counts(unit, run_ends(connection, workload_id, steps))
    return Counts(unit, {})


def _converted(unit: str, of: Counts, factor: float) -> Counts:
    by_step = of.by_step or {}
    return Counts(unit, {step: (n * factor, m * factor) for step, (n, m) in by_step.items()})


def _check_unit(asked: SeriesQuestion) -> None:
    if asked.unit in (None, DEVICE_HOUR):
        return
    if not _is_countable(asked.group_by):
        raise InvalidInput(
            "unit_needs_workload",
            f"counts of {asked.unit} belong to a workload as a whole: group by workload, and not "
            "by zone or device, or ask for device_hour",
        )


def _window(
    connection: Connection, asked: SeriesQuestion, now_ms: int
) -> tuple[tuple[int, int], list[str]]:
    """Snapped outward to quarter-hours."""
    first = first_quarter_ms(connection)
    end_ms = now_ms if asked.end_ms is None else asked.end_ms
    start_ms = min(first or 0, end_ms) if asked.start_ms is None else asked.start_ms
    if end_ms < start_ms:
        raise InvalidInput("end_before_start", "end must not lie before start")
    snapped = floor_to(start_ms, QUARTER_MS), ceil_to(end_ms, QUARTER_MS)
    stated = (asked.start_ms in (None, snapped[0])) and (asked.end_ms in (None, snapped[1]))
    return snapped, [] if stated else ["window_snapped"]


def _steps(
    step: str | None, start_ms: int, end_ms: int, timezone: ZoneInfo
) -> list[tuple[int, int]]:
    """[start, end) of each step, in order; the first and last may be cut by the window."""
    if end_ms == start_ms:
        return []
    if step is None:
        return [(start_ms, end_ms)]
    if step in (DAY, MONTH):
        return _civil(step, start_ms, end_ms, timezone)
    width_ms = parse_duration_ms(step)
    if not width_ms or width_ms % QUARTER_MS:
        raise InvalidInput("invalid_step", "step is a multiple of 15m, `day` or `month`")
    if -(-(end_ms - start_ms) // width_ms) > MOST_POINTS:
        raise _too_many()
    return [(at, min(at + width_ms, end_ms)) for at in range(start_ms, end_ms, width_ms)]


def _civil(step: str, start_ms: int, end_ms: int, timezone: ZoneInfo) -> list[tuple[int, int]]:
    """Civil days or months; one of them begins on a quarter-hour in every time zone of today."""
    if (end_ms - start_ms) // (24 * MS_PER_HOUR) > MOST_POINTS:
        raise _too_many()
    found: list[tuple[int, int]] = []
    last = ""
    for lo, hi in civil_days(start_ms, end_ms, timezone):
        name = f"{datetime.fromtimestamp(lo / 1000, timezone):%Y-%m}"
        span = max(lo, start_ms), min(hi, end_ms)
        if step == MONTH and name == last:
            found[-1] = found[-1][0], span[1]
        else:
            found.append(span)
        last = name
    return found


def _too_many() -> InvalidInput:
    return InvalidInput(
        "too_many_points",
        f"an answer has {MOST_POINTS} points at most: choose a longer step, a shorter window or "
        "fewer groups",
    )
