"""Settled days and months say what their quarter-hours say, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
from ledger import ADMIN, Ledger, interval
from sqlalchemy import Engine, func, select, update

from carbon.clock import FIRST_MS, LAST_MS, FakeClock
from carbon.services.context import Context
from carbon.services.rollup.settling import settle
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series
from carbon.storage.engine import reading, writing
from carbon.storage.settled import DAY as DAY_KIND
from carbon.storage.settled import (
    device_day,
    device_month,
    dirty_period,
    pieces_between,
    settled_in,
)
from carbon.wire.answer import SciAnswer
from carbon.wire.series import SeriesAnswer

HOUR = 3_600_000
DAY = 24 * HOUR
#: 2026-01-30 00:00 UTC: the window holds a whole month.
T = 1_769_731_200_000
END = T + 40 * DAY


@pytest.fixture
def ledger(memory: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    made = filled(new_context(memory), "America/New_York")
    yield made
    made.close()


def filled(context: Context, timezone: str) -> Ledger:
    """40 days, of which every third has energy; counts also where there is none."""
    settings = context.settings.model_copy(update={"timezone": timezone})
    made = Ledger(Context(context.engine, settings, FakeClock(END + DAY)))
    for day in range(0, 40, 3):
        at = T + day * DAY
        made.send(
            [
                interval(at + n * 7 * HOUR, at + n * 7 * HOUR + 600_000, 1_000_003 + n, f"gpu-{n}")
                for n in range(3)
            ]
        )
    made.count(
        [
            {
                "workload": "w",
                "unit": "token",
                "source": "s",
                "start_ms": T + day * DAY,
                "end_ms": T + day * DAY + HOUR // 2,
                "count": 1_001 + day,
            }
            for day in range(0, 40, 3)
        ]
    )
    return made


def asked(ledger: Ledger, start_ms: int, end_ms: int) -> SciAnswer:
    return ledger.sci(start_ms=start_ms, end_ms=end_ms)


def series(ledger: Ledger, step: str | None) -> SeriesAnswer:
    question = SeriesQuestion(parse_group_by("workload"), T, END, step)
    return sci_series(ledger.context, ADMIN, question)


WINDOWS = ((T, END), (T + HOUR, END - 7 * HOUR - 300_000), (T + 3 * DAY, T + 9 * DAY + 17 * HOUR))


def test_answers_are_the_same_before_and_after(
    engine: Engine, new_context: Callable[[Engine], Context]
) -> None:
    ledger = filled(new_context(engine), "Asia/Kathmandu")
    before = [asked(ledger, *window) for window in WINDOWS]
    steps = (None, "day", "month", "1h", "48h")
    drawn = [series(ledger, step) for step in steps]
    assert settle(ledger.context) > 14
    with reading(ledger.context.engine) as connection:
        assert connection.scalar(select(func.count()).select_from(device_month))
        assert not connection.scalar(select(func.count()).where(dirty_period.c.kind == DAY_KIND))
    assert [asked(ledger, *window) for window in WINDOWS] == before
    assert [series(ledger, step) for step in steps] == drawn
    ledger.close()


def test_settled_days_are_what_is_read(ledger: Ledger) -> None:
    """Else the test above would prove nothing."""
    before = asked(ledger, T, END)
    settle(ledger.context)
    with writing(ledger.context.engine) as connection:
        connection.execute(update(device_day).values(energy_mj=device_day.c.energy_mj + 1))
        connection.execute(update(device_month).values(energy_mj=device_month.c.energy_mj + 1))
    assert asked(ledger, T, END).energy_mj > before.energy_mj


def test_of_a_window_of_millennia_the_months_with_rows_are_read(ledger: Ledger) -> None:
    """Walking through each of its days took half a minute."""
    whole = asked(ledger, T, END)
    settle(ledger.context)
    with reading(ledger.context.engine) as connection:
        pieces = pieces_between(connection, FIRST_MS, LAST_MS, ZoneInfo("America/New_York"))
    assert device_month in [table for table, _, _ in pieces]
    assert pieces[0][1] > T - 32 * DAY
    assert pieces[-1][2] < END + 32 * DAY
    assert asked(ledger, FIRST_MS, LAST_MS).energy_mj == whole.energy_mj


def test_a_late_row_and_a_late_count_are_seen_at_once(ledger: Ledger) -> None:
    asked(ledger, T, END)
    settle(ledger.context)
    before = asked(ledger, T, END)
    ledger.send([interval(T + DAY, T + DAY + 10_000, 555, "gpu-9")])
    count = {"workload": "w", "unit": "token", "source": "s", "count": 7}
    ledger.count([{**count, "start_ms": T + DAY, "end_ms": T + DAY + 300_000}])
    late = asked(ledger, T, END)
    assert late.energy_mj == before.energy_mj + 555
    assert late.count == before.count + 7
    settle(ledger.context)
    assert asked(ledger, T, END) == late


def test_another_time_zone_settles_anew(ledger: Ledger) -> None:
    settle(ledger.context)
    before = asked(ledger, T, END)
    moved = ledger.context.settings.model_copy(update={"timezone": "Asia/Kolkata"})
    ledger.context = Context(ledger.context.engine, moved, ledger.context.clock)
    assert asked(ledger, T, END) == before
    settle(ledger.context)
    assert asked(ledger, T, END) == before
    with reading(ledger.context.engine) as connection:
        assert connection.scalar(select(settled_in.c.timezone)) == "Asia/Kolkata"
