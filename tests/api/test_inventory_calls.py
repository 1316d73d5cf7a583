"""/v1/inventory: by location and by market, beside SCI and never in it."""

from __future__ import annotations

import pytest
from ledger import interval
from service import HOUR, NOON_MS, Service, T, batch, count, refused, vintage

from carbon.clock import to_rfc3339
from carbon.domain.tenancy import TEAM_SCOPES

KWH = 3_600_000_000
WINDOW = f"start={to_rfc3339(T)}&end={to_rfc3339(T + 2 * HOUR)}"


@pytest.fixture
def house(service: Service) -> Service:
    """Two hours of 1 kWh each and 1 kWh idle, at 200 and 400 g/kWh."""
    admin = service.admin
    admin.post("/v1/intensity/DE", json=vintage(200.0, 400.0))
    drawn = [interval(T, T + HOUR, KWH), interval(T + HOUR, T + 2 * HOUR, KWH)]
    drawn += [{**interval(T, T + HOUR, KWH, "gpu-1"), "workload": None, "subject": "idle"}]
    assert admin.post("/v1/energy", json=batch(*drawn)).json()["accepted"] == 3
    admin.post("/v1/units", json={"units": [count(1_000)]})
    return service


def contract(**others: object) -> dict[str, object]:
    told = {"kind": "ppa", "zone": "DE", "g_per_kwh": 0, "carbon_free": True, "energy_kwh": 1}
    window = {"start": to_rfc3339(T), "end": to_rfc3339(T + 2 * HOUR)}
    return {**told, **window, "source": "registry", **others}


def test_all_machines_count_idle_ones_too(house: Service) -> None:
    told = house.admin.get(f"/v1/inventory?{WINDOW}").json()
    assert told["energy_kwh"] == told["it_energy_kwh"] == pytest.approx(3)
    assert told["location_g"] == told["market_g"] == pytest.approx(200 + 400 + 200)
    assert told["water_l"] is None
    assert {"no_residual_mix", "pue_unset", "wue_unknown"} <= set(told["flags"])


def test_a_contract_changes_the_market_figure_and_sci_by_exactly_nothing(house: Service) -> None:
    asked = f"/v1/workloads/w/sci?{WINDOW}&unit=token"
    before, told = house.admin.get(asked).json(), f"/v1/inventory?{WINDOW}"
    made = house.admin.post("/v1/inventory/contracts", json=contract())
    assert made.status_code == 201
    assert house.admin.get(asked).json() == before
    after = house.admin.get(told).json()
    assert after["location_g"] == pytest.approx(800)
    assert after["market_g"] < 800
    assert after["contracted_share"] == pytest.approx(1 / 3)
    assert after["cfe_score"] == pytest.approx(1 / 3)
    assert house.admin.get("/v1/audit/verify").json()["intact"]
    again = house.admin.post("/v1/inventory/contracts", json=contract(id=made.json()["id"]))
    refused(again, 409, "contract_exists")


def test_water_follows_the_recorded_wue_of_the_zone(house: Service) -> None:
    body = {
        "kind": "wue",
        "subject": "DE",
        "name": "hall 1",
        "value": 0.5,
        "unit": "L/kWh",
        "low": 0.4,
        "high": 0.6,
        "source": "own meter",
        "vintage": "2026",
        "licence": "own",
        "tier": "measured",
    }
    assert house.admin.post("/v1/factors", json=body).status_code == 201
    assert house.admin.get(f"/v1/inventory?{WINDOW}").json()["water_l"] == pytest.approx(1.5)


def test_water_at_the_power_plants_follows_what_was_taken_from_the_grid(service: Service) -> None:
    admin = service.admin
    admin.post("/v1/hosts", json={"name": "n", "zone": "DE", "pue": 1.5})
    admin.post("/v1/energy", json=batch(interval(T, T + HOUR, KWH), host="n"))
    told = admin.get(f"/v1/inventory?{WINDOW}").json()
    assert told["water_off_site_l"] is None
    assert "grid_water_unknown" in told["flags"]
    common = {"subject": "DE", "unit": "L/kWh", "source": "a study", "vintage": "2026"}
    common |= {"licence": "own", "tier": "generic"}
    for kind, value in (("grid_water", 2.0), ("wue", 0.5)):
        body = {**common, "kind": kind, "value": value, "low": value / 2, "high": value * 2}
        assert admin.post("/v1/factors", json=body).status_code == 201
    told = admin.get(f"/v1/inventory?{WINDOW}").json()
    assert told["water_off_site_l"] == pytest.approx(1.5 * 2.0)  # per kWh from the grid
    assert told["water_l"] == pytest.approx(0.5)  # per kWh of IT energy: PUE is not in it
    assert not {"grid_water_unknown", "wue_unknown"} & set(told["flags"])


def test_water_follows_the_published_wue_of_a_hosts_cloud_region(service: Service) -> None:
    """aws/eu-central-1 publishes 0.17 L/kWh, of Bahrain nothing: what is blank is not 0."""
    admin = service.admin
    admin.post("/v1/hosts", json={"name": "n1", "region": "aws/eu-central-1", "zone": "DE"})
    admin.post("/v1/hosts", json={"name": "n2", "region": "aws/me-south-1", "zone": "DE"})
    admin.post("/v1/energy", json=batch(interval(T, T + HOUR, 2 * KWH), host="n1"))
    told = admin.get(f"/v1/inventory?{WINDOW}").json()
    assert (told["water_l"], "wue_unknown" in told["flags"]) == (pytest.approx(0.34), False)
    dry = batch(interval(T, T + HOUR, KWH, "gpu-9"), seq=2, host="n2")
    admin.post("/v1/energy", json=dry)
    told = admin.get(f"/v1/inventory?{WINDOW}").json()
    assert (told["water_l"], "wue_unknown" in told["flags"]) == (pytest.approx(0.34), True)


def test_the_grids_carbon_free_share_is_a_factor_of_its_zone(house: Service) -> None:
    admin = house.admin
    told = admin.get(f"/v1/inventory?{WINDOW}").json()
    assert (told["cfe_score"], "grid_cfe_unknown" in told["flags"]) == (0, True)
    body = {"kind": "cfe", "subject": "DE", "name": "2026", "unit": "1", "value": 0.6, "low": 0.5}
    told = {"source": "the operator", "vintage": "2026", "licence": "own", "tier": "supplier"}
    refused(admin.post("/v1/factors", json={**body, **told, "high": 1.2}), 422, "share_above_one")
    assert admin.post("/v1/factors", json={**body, **told, "high": 0.7}).status_code == 201
    told = admin.get(f"/v1/inventory?{WINDOW}").json()
    assert (told["cfe_score"], "grid_cfe_unknown" in told["flags"]) == (pytest.approx(0.6), False)


def test_a_frame_has_the_standards_own_rows(house: Service) -> None:
    rows = {}
    for frame in ("ghg-protocol", "esrs-e1"):
        told = house.admin.get(f"/v1/inventory/frames/{frame}?{WINDOW}").json()
        assert told["version"]
        rows |= {row["code"]: row["value"] for row in told["lines"]}
    assert rows["2-location"] == rows["E1-6 49(a)"] == pytest.approx(800e-6)
    assert rows["2-market"] == rows["E1-6 49(b)"] == pytest.approx(800e-6)
    assert rows["E1-5 37"] == pytest.approx(3e-3)
    assert rows["E1-5 37(a)"] is None


def test_rented_machines_are_bought_services(house: Service) -> None:
    told = house.admin.get(f"/v1/inventory/frames/ghg-protocol?{WINDOW}&operated=rented").json()
    [row] = told["lines"]
    assert row["code"] == "3.1"
    assert row["value"] > 800e-6  # with the devices' own making


def test_a_team_sees_its_own_machines_time_and_records_no_contract(house: Service) -> None:
    team = house.client("blue", TEAM_SCOPES)
    assert team.get(f"/v1/inventory?{WINDOW}").json()["energy_kwh"] == 0
    refused(team.post("/v1/inventory/contracts", json=contract()), 403, "scope_missing")


def test_what_cannot_be_meant_is_refused(house: Service) -> None:
    late = f"start={to_rfc3339(NOON_MS)}&end={to_rfc3339(T)}"
    refused(house.admin.get(f"/v1/inventory?{late}"), 422, "end_before_start")
    refused(house.admin.get(f"/v1/inventory/frames/iso?{WINDOW}"), 404, "unknown_frame")
    refused(
        house.admin.post("/v1/inventory/contracts", json=contract(start="x")), 422, "invalid_time"
    )
