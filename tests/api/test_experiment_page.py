"""The page of an experiment says what the API says, and what was not measured."""

from __future__ import annotations

from arms import comparison, send_arms
from fastapi.testclient import TestClient
from service import Service


def test_a_page_shows_verdict_bounds_gates_groups_and_proof(
    service: Service, admin: TestClient
) -> None:
    send_arms(admin)
    counts = {"both_right": 80, "baseline_only": 10, "treatment_only": 0, "both_wrong": 10}
    cells = [{"group": g, "label": "1", **counts} for g in ("north", "south")]
    told = admin.post(
        "/v1/experiments",
        json=comparison(
            answers=cells,
            gates={"worst_group_loss": 0.01},
            optimisation=[{"what": "calibration", "grams": 3.0}],
            title="int8 <everywhere>",
        ),
    ).json()
    page = admin.get(f"/experiments/{told['id']}")
    assert page.status_code == 200
    for shown in (
        "saves carbon",
        "A gate did not pass.",
        "int8 &lt;everywhere&gt;",
        "south",
        "Not measured",
        told["statement_hash"],
        "fp32 → int8",
    ):
        assert shown in page.text, shown
    listed = admin.get("/experiments").text
    assert f"/experiments/{told['id']}" in listed
    assert admin.get("/experiments/exp_0").status_code == 404
    csv = admin.get("/web/experiments.csv").text
    assert told["id"] in csv
    assert admin.post("/recommendations/rec_0/dismissed").status_code in (403, 404)
