"""Months, quarters and years of the civil calendar."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.budget import Period
from carbon.services.sci.civil_period import period_around

ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York")


@given(st.integers(0, 4_000_000_000_000), st.sampled_from(list(Period)), st.sampled_from(ZONES))
def test_it_holds_its_moment_and_the_next_begins_where_it_ends(
    at_ms: int, period: Period, zone: str
) -> None:
    timezone = ZoneInfo(zone)
    found = period_around(at_ms, period, timezone)
    assert found.start_ms <= at_ms < found.end_ms
    assert period_around(found.end_ms, period, timezone).start_ms == found.end_ms
    assert period_around(found.end_ms - 1, period, timezone) == found


@pytest.mark.parametrize(
    ("period", "first", "after"),
    [
        (Period.MONTH, "2026-03-01", "2026-04-01"),
        (Period.QUARTER, "2026-01-01", "2026-04-01"),
        (Period.YEAR, "2026-01-01", "2027-01-01"),
    ],
)
def test_of_a_day_in_march(period: Period, first: str, after: str) -> None:
    timezone = ZoneInfo("Europe/Berlin")

    def midnight(text: str) -> int:
        return round(datetime.fromisoformat(text).replace(tzinfo=timezone).timestamp() * 1000)

    found = period_around(midnight("2026-03-31"), period, timezone)
    assert (found.start_ms, found.end_ms) == (midnight(first), midnight(after))
