"""A budget's course: what was used by when, and where that leads, in one line without a break."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fastapi.testclient import TestClient
from service import HOUR, NOON_MS
from test_budgets_calls import put, use

from carbon.clock import from_rfc3339
from carbon.domain.units import MS_PER_DAY


def test_the_course_begins_at_nothing_never_falls_and_ends_at_what_is_used(
    admin: TestClient,
) -> None:
    use(admin, 20)
    told = put(admin)
    course = told["course"]
    assert (course[0]["at"], course[0]["used"]) == (told["start"], 0)
    assert course[-1]["used"] == told["used"]
    assert from_rfc3339(course[-1]["at"]) == NOON_MS
    for before, after in pairwise(course):
        assert before["at"] < after["at"]
        assert before["used"] <= after["used"] + 1e-12


def test_the_forecast_begins_where_the_course_ends_and_ends_as_the_answer_says(
    admin: TestClient,
) -> None:
    for day in range(1, 8):
        use(admin, day)  # less and less a day, so that the days scatter
    told = put(admin)
    first, *_, last = told["ahead"]
    assert (first["at"], first["value"]) == (told["course"][-1]["at"], told["used"])
    assert first["low"] == first["high"] == told["used"]
    assert last["at"] == told["end"]
    for bound in ("value", "low", "high"):
        assert last[bound] == pytest.approx(told["forecast"][bound])
    widths = [point["high"] - point["low"] for point in told["ahead"]]
    assert all(before <= after + 1e-12 for before, after in pairwise(widths))
    at = [from_rfc3339(point["at"]) for point in told["ahead"]]
    assert {b - a for a, b in pairwise(at[1:])} == {MS_PER_DAY}
    assert at[1] - at[0] == 12 * HOUR


@pytest.mark.parametrize("period", ["quarter", "year"])
def test_a_long_period_is_told_in_a_hundred_points_at_most(admin: TestClient, period: str) -> None:
    use(admin, 6)
    told = put(admin, period=period, amount=400)
    assert len(told["course"]) + len(told["ahead"]) < 110
    assert told["course"][-1]["used"] == told["used"] == pytest.approx(6)
    assert told["ahead"][-1]["value"] == pytest.approx(told["forecast"]["value"])


def test_what_cannot_be_foretold_has_a_course_and_nothing_ahead(admin: TestClient) -> None:
    assert put(admin)["course"] == []
    use(admin, 2)
    told = put(admin)
    assert [point["used"] for point in told["course"]][-1] == pytest.approx(2)
    assert (told["ahead"], told["forecast"]) == ([], None)


def test_days_without_readings_leave_the_course_level_and_not_broken(admin: TestClient) -> None:
    use(admin, 1)
    told = put(admin, period="quarter")
    used = [point["used"] for point in told["course"]]
    assert used[:-1] == [0.0] * (len(used) - 1)
    assert used[-1] == pytest.approx(1)
