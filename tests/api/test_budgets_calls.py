"""/v1/budgets: set, ended, and where each leads."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from ledger import interval
from service import HOUR, NOON_MS, Service, batch, count, refused

from carbon.domain.units import MS_PER_DAY

KWH_MJ = 3_600_000_000
#: 2026-03-02 12:00: a day and a half of March is over.
ELAPSED = 1.5 / 31


def use(client: TestClient, days: int, kwh: int = 1, workload: str = "w") -> None:
    """So many kWh in the morning of each of the last days, today included."""
    for day in range(days):
        start_ms = NOON_MS - 3 * HOUR - day * MS_PER_DAY
        sent = interval(
            start_ms, start_ms + HOUR, kwh * KWH_MJ, workload=workload, device=f"gpu-{workload}"
        )
        told = client.post("/v1/energy", json=batch(sent, seq=day, source=f"s-{workload}"))
        assert told.status_code == 202
        assert not told.json()["rejected"]


def put(client: TestClient, **members: Any) -> dict[str, Any]:
    body = {"measure": "energy_kwh", "amount": 40, "period": "month", **members}
    answer = client.post("/v1/budgets", json=body)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_even_use_leads_to_a_day_s_use_for_each_day(admin: TestClient) -> None:
    use(admin, 20)
    told = put(admin)
    assert (told["start"], told["end"]) == ("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert told["used"] == pytest.approx(2)
    assert told["elapsed"] == pytest.approx(ELAPSED)
    assert told["days_known"] == 19
    forecast = told["forecast"]
    assert forecast["value"] == pytest.approx(2 + 29.5)
    assert forecast["high"] == pytest.approx(forecast["low"])
    assert (told["standing"], told["reason"]) == ("kept", None)


def test_a_day_without_readings_is_no_day_without_use(admin: TestClient) -> None:
    use(admin, 5)
    assert put(admin)["days_known"] == 4


def test_of_nothing_measured_nothing_is_said(admin: TestClient) -> None:
    told = put(admin)
    assert (told["used"], told["forecast"]) == (None, None)
    assert (told["standing"], told["reason"]) == ("unknown", "nothing_measured")
    use(admin, 2)
    [told] = admin.get("/v1/budgets").json()["budgets"]
    assert told["used"] == pytest.approx(2)
    assert (told["standing"], told["reason"]) == ("unknown", "too_few_days")


def test_what_is_used_up_is_exceeded(admin: TestClient) -> None:
    use(admin, 2)
    assert put(admin, amount=1.5)["standing"] == "exceeded"
    use(admin, 10)
    assert put(admin, amount=10)["standing"] == "missed"


def test_a_budget_of_a_team_and_of_a_workload_count_their_own(service: Service) -> None:
    blue, admin = service.client("blue"), service.admin
    use(blue, 5, workload="train")
    use(blue, 5, kwh=2, workload="serve")
    use(admin, 5, kwh=8, workload="other")
    assert put(blue)["used"] == pytest.approx(6)
    assert put(blue, workload="serve")["used"] == pytest.approx(4)
    assert put(admin)["used"] == pytest.approx(22)
    assert put(admin, team="blue")["used"] == pytest.approx(6)
    assert len(admin.get("/v1/budgets").json()["budgets"]) == 3  # blue's own was set anew


def test_another_team_s_budgets_are_not_told_of(service: Service) -> None:
    admin, blue, red = service.admin, service.client("blue"), service.client("red")
    whole, of_blue = put(admin), put(blue)
    assert [b["id"] for b in blue.get("/v1/budgets").json()["budgets"]] == [of_blue["id"]]
    assert red.get("/v1/budgets").json() == {"budgets": []}
    for known in (whole, of_blue):
        path = f"/v1/budgets/{known['id']}"
        refused(red.get(path), 404, "unknown_budget")
        refused(red.delete(path), 404, "unknown_budget")
    refused(
        red.post(
            "/v1/budgets",
            json={"measure": "total_g", "amount": 1, "period": "year", "team": "blue"},
        ),
        403,
        "team_forbidden",
    )


def test_carbon_is_limited_as_energy_is(admin: TestClient) -> None:
    use(admin, 10)
    told = put(admin, measure="total_g", amount=1e6)
    sci = admin.get("/v1/workloads/w/sci", params={"start": told["start"], "unit": "run"}).json()
    assert told["used"] == pytest.approx(sci["total_g"])
    assert told["forecast"]["value"] == pytest.approx(told["used"] * 31.5 / 2, rel=1e-6)


def test_sci_is_limited_per_unit(admin: TestClient) -> None:
    use(admin, 5)
    start_ms = NOON_MS - 3 * HOUR
    admin.post(
        "/v1/units",
        json={
            "units": [
                {
                    **count(100),
                    "start_ms": start_ms - d * MS_PER_DAY,
                    "end_ms": start_ms - d * MS_PER_DAY + HOUR,
                }
                for d in range(5)
            ]
        },
    )
    told = put(admin, measure="sci_g_per_unit", workload="w", amount=1e6)
    assert told["unit"] == "token"
    assert told["forecast"]["value"] == pytest.approx(told["used"], rel=0.01)
    assert told["forecast"]["low"] < told["used"] < told["forecast"]["high"]
    assert told["standing"] == "kept"


def test_the_same_again_takes_the_place_and_both_are_in_the_audit_log(admin: TestClient) -> None:
    first, second = put(admin, amount=10), put(admin, amount=20)
    other = put(admin, amount=5, period="year")
    assert [b["id"] for b in admin.get("/v1/budgets").json()["budgets"]] == [
        second["id"],
        other["id"],
    ]
    refused(admin.get(f"/v1/budgets/{first['id']}"), 404, "unknown_budget")
    assert admin.delete(f"/v1/budgets/{second['id']}").status_code == 204
    refused(admin.delete(f"/v1/budgets/{second['id']}"), 404, "unknown_budget")
    entries = admin.get("/v1/audit").json()["entries"]
    actions = [e["action"] for e in entries if e["action"].startswith("budget.")]
    assert actions == ["budget.set"] * 3 + ["budget.ended"]


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"amount": 0}, 422, "invalid_amount"),
        ({"amount": -3}, 422, "invalid_amount"),
        ({"unit": "token"}, 422, "unit_not_of_sci"),
        ({"measure": "sci_g_per_unit"}, 422, "workload_required"),
        ({"measure": "sci_g_per_unit", "workload": "nobody"}, 404, "unknown_workload"),
        ({"workload": "nobody"}, 404, "unknown_workload"),
        ({"workload": "red/w", "team": "blue"}, 422, "two_teams"),
        ({"measure": "tons"}, 422, "invalid_body"),
        ({"period": "fortnight"}, 422, "invalid_body"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    admin: TestClient, members: dict[str, Any], status: int, code: str
) -> None:
    body = {"measure": "energy_kwh", "amount": 40, "period": "month", **members}
    refused(admin.post("/v1/budgets", json=body), status, code)
