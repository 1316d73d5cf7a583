"""SCI by group and step: groups sum to the whole, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import pytest
from ledger import ADMIN, NOON_MS, TEAM, Ledger, interval
from sqlalchemy import Engine

from carbon.errors import InvalidInput
from carbon.services.context import Context
from carbon.services.sci.series import SeriesQuestion, parse_group_by, sci_series
from carbon.wire.series import SeriesAnswer, SeriesPoint

HOUR = 3_600_000
MINUTE = 60_000
T = NOON_MS - 6 * HOUR
DIMENSIONS = ("team", "workload", "zone", "device", "technique")


@pytest.fixture
def ledger(engine: Engine, new_context: Callable[[Engine], Context]) -> Iterator[Ledger]:
    """Two hours of three workloads of two teams, idle time, two devices and two zones."""
    made = Ledger(new_context(engine))
    made.intensity(T, [100.0, 400.0])
    made.intensity(T, [50.0, 60.0], zone="FR")
    made.send(
        [
            interval(T, T + HOUR, 3_600_000_001, workload="a"),
            interval(T + HOUR, T + 2 * HOUR, 1_800_000_007, workload="b"),
            interval(T + 2 * HOUR, T + 2 * HOUR + 1_000, 11, workload="b", run="r"),
        ]
    )
    made.send(
        [
            interval(T, T + 90 * MINUTE, 5_000_000_003, "gpu-1", workload="blue/c"),
            interval(T + 90 * MINUTE, T + 2 * HOUR, 77_777, "gpu-1", workload=None),
        ],
        zone="FR",
    )
    yield made
    made.close()


def asked(ledger: Ledger, by: Sequence[str] = (), principal: Any = ADMIN, **rest: Any) -> Any:
    question = SeriesQuestion(parse_group_by(",".join(by)), T, T + 2 * HOUR + 15 * MINUTE, **rest)
    return sci_series(ledger.context, principal, question)


def summed(points: Sequence[SeriesPoint]) -> tuple[int, float, float]:
    return (
        sum(point.energy_mj for point in points),
        sum(point.operational_g for point in points),
        sum(point.embodied_g for point in points),
    )


def all_points(answer: SeriesAnswer) -> list[SeriesPoint]:
    return [point for group in answer.groups for point in group.points]


@pytest.mark.parametrize("step", [None, "15m", "1h", "day", "month"])
def test_groups_of_any_kind_sum_to_the_whole(ledger: Ledger, step: str | None) -> None:
    whole = asked(ledger, step=step)
    for size in range(1, len(DIMENSIONS) + 1):
        for by in combinations(DIMENSIONS, size):
            answer = asked(ledger, by, step=step)
            energy_mj, operational_g, embodied_g = summed(all_points(answer))
            total_mj, total_operational_g, total_embodied_g = summed(whole.total)
            assert energy_mj == total_mj == 10_400_077_799
            assert operational_g == pytest.approx(total_operational_g, rel=1e-12)
            assert embodied_g == pytest.approx(total_embodied_g, abs=1e-7)


def test_a_group_says_what_the_workload_alone_says(ledger: Ledger) -> None:
    (group,) = [g for g in asked(ledger, ["workload"]).groups if g.group["workload"] == "default/b"]
    (point,) = group.points
    alone = ledger.sci("b", start_ms=T, end_ms=T + 2 * HOUR + 15 * MINUTE)
    for name in ("energy_mj", "operational_g", "embodied_g", "total_g", "count", "unit"):
        assert getattr(point, name) == getattr(alone, name), name
    # A series' bounds are those of the first order, since it may have thousands of points.
    assert (point.low, point.high) == pytest.approx((alone.low, alone.high), rel=0.15)
    assert point.zones == alone.zones


def test_a_step_is_the_sum_of_its_finer_steps(ledger: Ledger) -> None:
    hours, quarters = asked(ledger, step="1h").total, asked(ledger, step="15m").total
    for hour in hours:
        inside = [q for q in quarters if hour.start <= q.start < hour.end]
        assert sum(q.energy_mj for q in inside) == hour.energy_mj
        assert sum(q.operational_g for q in inside) == pytest.approx(hour.operational_g)


def test_what_no_workload_claims_is_shown_as_a_group_of_its_own(ledger: Ledger) -> None:
    nobody = [g for g in asked(ledger, ["team"]).groups if g.group["team"] is None]
    assert [g.group["kind"] for g in nobody] == ["unattributed"]
    assert summed(nobody[0].points)[0] == 77_777


def test_counts_enter_where_the_workload_has_energy(ledger: Ledger) -> None:
    count = {"workload": "a", "unit": "token", "source": "app"}
    ledger.count(
        [
            {**count, "start_ms": T, "end_ms": T + HOUR, "count": 600},
            {**count, "start_ms": T + HOUR, "end_ms": T + 2 * HOUR, "count": 9},
        ]
    )
    (group,) = [g for g in asked(ledger, ["workload"]).groups if g.group["workload"] == "default/a"]
    (point,) = group.points
    assert (point.unit, point.count, point.count_set_aside) == ("token", 600, 9)
    assert point.sci_g_per_unit == pytest.approx(point.total_g / 600)
    by_hour = asked(ledger, ["workload"], step="1h", unit="token")
    (group,) = [g for g in by_hour.groups if g.group["workload"] == "default/a"]
    assert [p.count for p in group.points] == [600]


def test_several_units_and_none_asked_for_give_no_rate_but_the_grams(ledger: Ledger) -> None:
    for unit in ("token", "image"):
        row = {"workload": "a", "unit": unit, "source": "x", "start_ms": T, "end_ms": T + 1}
        ledger.count([{**row, "count": 1}])
    (group,) = [g for g in asked(ledger, ["workload"]).groups if g.group["workload"] == "default/a"]
    (point,) = group.points
    assert (point.unit, point.sci_g_per_unit, point.reason) == (None, None, "unit_required")
    assert point.total_g > 0


def test_no_technique_is_known_before_experiments_are(ledger: Ledger) -> None:
    (group,) = asked(ledger, ["technique"]).groups
    assert group.group == {"technique": None}


def test_a_team_sees_its_own_groups_alone(ledger: Ledger) -> None:
    answer = asked(ledger, ["team", "workload"], TEAM)
    assert [g.group["workload"] for g in answer.groups] == ["blue/c"]
    assert summed(answer.total)[0] == 5_000_000_003


def test_a_window_off_the_quarter_is_snapped_and_says_so(ledger: Ledger) -> None:
    question = SeriesQuestion((), T + 1, T + HOUR - 1)
    answer = sci_series(ledger.context, ADMIN, question)
    assert answer.flags == ["window_snapped"]
    assert answer.start == "2026-03-02T06:00:00Z"
    assert answer.end == "2026-03-02T07:00:00Z"


def test_nothing_read_is_no_group_and_no_point(ledger: Ledger) -> None:
    empty = sci_series(ledger.context, ADMIN, SeriesQuestion((), T - HOUR, T))
    assert (empty.groups, empty.total) == ([], [])
    moment = sci_series(ledger.context, ADMIN, SeriesQuestion((), T, T))
    assert moment.total == []


@pytest.mark.parametrize(
    ("question", "code"),
    [
        (SeriesQuestion((), T, T - HOUR), "end_before_start"),
        (SeriesQuestion((), T, T + HOUR, step="7m"), "invalid_step"),
        (SeriesQuestion((), T, T + HOUR, step="fortnight"), "invalid_duration"),
        (SeriesQuestion((), 0, NOON_MS, step="15m"), "too_many_points"),
        (SeriesQuestion(parse_group_by("team"), T, T + HOUR, unit="token"), "unit_needs_workload"),
        (
            SeriesQuestion(parse_group_by("workload,zone"), T, T + HOUR, unit="token"),
            "unit_needs_workload",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    ledger: Ledger, question: SeriesQuestion, code: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        sci_series(ledger.context, ADMIN, question)
    assert caught.value.code == code


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_group_by("team,colour")
    assert caught.value.code == "unknown_group"
