"""/v1/shadow: jobs that ran elsewhere, and what moving them would have saved."""

from __future__ import annotations

from typing import Any

import pytest
from service import NOON_MS, Service

from carbon.clock import to_rfc3339
from carbon.domain.intensity import EmissionScope, IntensityPoint, PointKind, Signal, Vintage
from carbon.services.grid.intensity import record_vintage

HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.fixture
def nights(service: Service) -> Service:
    """A month in which nights were clean, as it was measured."""
    points = tuple(
        IntensityPoint(at, at + HOUR, 100.0 if at // HOUR % 24 < 6 else 400.0, PointKind.ACTUAL)
        for at in range(NOON_MS - 30 * DAY, NOON_MS, HOUR)
    )
    vintage = Vintage("DE", "test", Signal.AVERAGE, EmissionScope.LIFECYCLE, NOON_MS - 1000, points)
    assert record_vintage(service.context, vintage) == []
    return service


def job(day: int = 5, **fields: Any) -> dict[str, Any]:
    return {"submit": to_rfc3339(NOON_MS - day * DAY + 6 * HOUR), "length_s": 10_800, **fields}


def ask(service: Service, *jobs: dict[str, Any], **fields: Any) -> Any:
    return service.admin.post("/v1/shadow", json={"zone": "DE", "jobs": list(jobs), **fields})


def test_nights_would_have_been_cleaner_and_nothing_is_stored(nights: Service) -> None:
    some = [job(day, team=team, power_w=1000.0) for day in range(2, 9) for team in ("ml", "bio")]
    told = ask(nights, *some).json()
    assert told["as_they_came_g"] == pytest.approx(14 * 3 * 400)
    assert told["best_possible_g"] == pytest.approx(14 * 3 * 100)
    assert told["saving_g"] == pytest.approx(told["as_they_came_g"] - told["shifted_g"])
    assert 0 < told["saving_share"] <= 0.75
    assert [(t["team"], t["jobs"]) for t in told["teams"]] == [("bio", 7), ("ml", 7)]
    assert told["flags"] == []
    assert nights.admin.get("/v1/jobs").json()["jobs"] == []


def test_power_is_assumed_by_cpu_where_nobody_knows_it(nights: Service) -> None:
    told = ask(nights, job(cpus=8), watts_per_cpu=20).json()
    assert told["as_they_came_g"] == pytest.approx(0.16 * 3 * 400)
    assert told["flags"] == ["power_assumed"]


def test_who_may_not_wait_is_not_moved(nights: Service) -> None:
    told = ask(nights, *(job(day) for day in range(2, 9)), long_wait_h=0, short_wait_h=0).json()
    assert (told["saving_g"], told["mean_delay_h"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"zone": "ZZ-NOWHERE"}, "unknown_zone"),
        ({"jobs": [{"submit": "yesterday", "length_s": 60}]}, "invalid_moment"),
        ({"jobs": [{"submit": to_rfc3339(NOON_MS), "length_s": 60}]}, "from_the_future"),
    ],
)
def test_what_cannot_be_shadowed_is_said(
    nights: Service, fields: dict[str, Any], code: str
) -> None:
    answer = nights.admin.post("/v1/shadow", json={"zone": "DE", "jobs": [job()], **fields})
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    "fields", [{"jobs": []}, {"jobs": [job(length_s=0)]}, {"short_wait_h": -1}, {"more": 1}]
)
def test_a_body_out_of_bounds_is_422(nights: Service, fields: dict[str, Any]) -> None:
    answer = nights.admin.post("/v1/shadow", json={"zone": "DE", "jobs": [job()], **fields})
    assert answer.status_code == 422


def test_without_brought_jobs_the_ledger_has_nothing_to_tell(nights: Service) -> None:
    told = nights.admin.get(
        "/v1/shadow", params={"start": to_rfc3339(NOON_MS - DAY), "end": to_rfc3339(NOON_MS)}
    ).json()
    assert (told["jobs"], told["saving_share"], told["teams"]) == (0, None, [])
