"""/v1/experiments: two arms of the ledger, a verdict, and a log that cannot be rewritten."""

from __future__ import annotations

import random
from typing import Any

import pytest
from arms import BLOCKS, comparison, runs, send_arms, windows
from fastapi.testclient import TestClient
from service import HOUR, MINUTE, Service, T, refused
from sqlalchemy import text

from carbon.clock import FakeClock, to_rfc3339
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.reports.erasure import erase_team
from carbon.storage.engine import writing


@pytest.fixture
def arms(admin: TestClient) -> TestClient:
    send_arms(admin)
    return admin


def post(client: TestClient, **changed: Any) -> dict[str, Any]:
    answer = client.post("/v1/experiments", json=comparison(**changed))
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("blocks", [windows, runs], ids=["windows", "runs"])
def test_a_saving_is_found_with_its_intervals(arms: TestClient, blocks: Any) -> None:
    told = post(arms, blocks=blocks)
    assert told["verdict"] == "saves"
    for name in ("energy", "operational", "sci"):
        delta = told["deltas"][name]
        assert delta["low"] < delta["value"] < delta["high"] < 0
        assert delta["relative_low"] < -0.1 < delta["relative_high"]
    assert told["deltas"]["energy"]["baseline"] == pytest.approx(1e6, rel=0.02)
    assert told["deltas"]["quality"] is None
    assert told["config_diff"] == {"precision": ["fp32", "int8"]}
    assert told["g_per_kwh"] == pytest.approx(300)
    assert "quality_not_stated" in told["caveats"]
    assert "network" in told["not_measured"]
    assert arms.get(f"/v1/experiments/{told['id']}").json() == told


def test_equal_arms_are_inconclusive(arms: TestClient) -> None:
    def split(arm: int) -> list[dict[str, Any]]:
        return windows(0)[arm::2]

    told = post(arms, blocks=split)
    assert told["verdict"] == "inconclusive"
    assert "few_blocks" in told["caveats"]


def test_warm_up_is_discarded(arms: TestClient) -> None:
    told = post(arms, warm_up=2)
    assert len(told["baseline"]["blocks"]) == len(told["treatment"]["blocks"]) == BLOCKS - 2


def test_break_even_counts_the_making_of_the_treatment(arms: TestClient) -> None:
    costs = [{"what": "calibration", "grams": 5.0}, {"what": "search", "run": "a0"}]
    told = post(arms, optimisation=costs)
    paid = told["break_even"]
    assert paid["cost_g"] > 5 + 80  # a0 drew a kWh/3.6 at 300 g
    assert paid["low"] < paid["count"] < paid["high"]
    assert paid["count"] == pytest.approx(paid["cost_g"] / -told["deltas"]["sci"]["value"])


def test_quality_by_block_and_answers_by_group(arms: TestClient) -> None:
    def judged(arm: int) -> list[dict[str, Any]]:
        return [{**block, "quality": 0.9 - 0.05 * arm} for block in windows(arm)]

    cells = [
        {
            "group": g,
            "label": "1",
            "both_right": 900 - lost,
            "baseline_only": lost,
            "treatment_only": 0,
            "both_wrong": 100,
        }
        for g, lost in (("a", 0), ("b", 200))
    ]
    few = {**cells[0], "group": "few", "both_right": 3, "both_wrong": 0}
    limits = {"quality_loss": 0.5, "worst_group_loss": 0.02, "equalised_odds_change": 0.05}
    told = post(arms, blocks=judged, answers=[*cells, few], gates={**limits, "verdict": "saves"})
    assert told["deltas"]["quality"]["value"] == pytest.approx(-0.05)
    fairness = told["deltas"]["fairness"]
    assert (fairness["worst_group"], fairness["groups_withheld"]) == ("b", 1)
    assert [group["group"] for group in fairness["groups"]] == ["a", "b"]
    outcomes = {gate["name"]: gate["outcome"] for gate in told["gates"]}
    assert outcomes == {
        "quality_loss": "passed",
        "worst_group_loss": "failed",
        "equalised_odds_change": "failed",
        "verdict": "passed",
    }
    assert told["passed"] is False


def test_a_gate_without_its_figure_does_not_pass(arms: TestClient) -> None:
    told = post(arms, gates={"quality_loss": 0.01})
    assert (told["gates"][0]["outcome"], told["passed"]) == ("not_stated", False)


def test_series_by_technique_hold_the_runs_of_experiments(arms: TestClient) -> None:
    post(arms, blocks=runs)
    told = arms.get("/v1/sci?group_by=technique").json()
    energy = {g["group"]["technique"]: g["points"][0]["energy_mj"] for g in told["groups"]}
    assert energy.keys() == {"quantisation"}
    assert energy["quantisation"] == told["total"][0]["energy_mj"] > 0


# What is refused


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"technique": "magic"}, "unknown_technique"),
    ({"parameters": {}}, "technique_field"),
    ({"baseline": {"blocks": windows(0)[:1]}}, "too_few_blocks"),
    ({"baseline": {"blocks": []}}, "too_few_blocks"),
    ({"baseline": {"blocks": [{}] * 2}}, "invalid_block"),
    ({"baseline": {"blocks": [{"run": "a0", "start": "x"}] * 2}}, "invalid_block"),
    ({"baseline": {"blocks": [{"start": "x", "end": "y"}] * 2}}, "invalid_time"),
    (
        {"baseline": {"blocks": [{**windows(0)[0], "end": to_rfc3339(T)}] * 2}},
        "end_before_start",
    ),
    ({"optimisation": [{"what": "teacher"}]}, "invalid_cost"),
    ({"unit": "page"}, "unknown_unit"),
    (
        {
            "answers": [
                dict.fromkeys(["both_right", "baseline_only", "treatment_only", "both_wrong"], 0)
                | {"group": "a", "label": "1"}
            ]
        },
        "invalid_answers",
    ),
    ({"treats": ["weather"]}, "invalid_body"),
    ({"gates": {"quality_loss": -1}}, "invalid_body"),
    ({"baseline": {"blocks": [], "config": {"prompt": "x" * 201}}}, "invalid_body"),
]


def test_what_cannot_be_meant_is_refused(arms: TestClient) -> None:
    for changed, code in REFUSED:
        refused(arms.post("/v1/experiments", json=comparison(**changed)), 422, code)


def test_a_window_without_readings_or_units_is_refused(arms: TestClient) -> None:
    before = [{"start": to_rfc3339(T - HOUR), "end": to_rfc3339(T)}] * 2
    answer = arms.post("/v1/experiments", json=comparison(baseline={"blocks": before}))
    refused(answer, 422, "no_data")


def test_arms_in_other_units_zones_or_of_another_selection_are_refused(arms: TestClient) -> None:
    treatment = comparison()["treatment"]
    other = {**treatment, "unit": "run", "blocks": runs(1), "selection": {"lang": "en"}}
    problem = refused(
        arms.post("/v1/experiments", json=comparison(treatment=other)), 422, "arms_differ"
    )
    assert problem["differ"] == ["functional_unit", "selection"]


def totals(arm: int, **stated: Any) -> dict[str, Any]:
    rng = random.Random(arm)
    quarter = 15 * MINUTE
    blocks = [
        {
            "start": to_rfc3339(T + (2 * n + arm) * quarter),
            "end": to_rfc3339(T + (2 * n + arm + 1) * quarter),
            "site": site,
            "totals": {
                "energy_mj": round(1e9 * size * (1 - 0.2 * arm) + rng.gauss(0, 5e6)),
                "operational_g": 100.0 * size * (1 - 0.2 * arm),
                "count": 1000.0,
            },
        }
        for site, size in (("north", 1), ("south", 3))
        for n in range(4)
    ]
    conditions = {
        "boundary": {"included": ["gpu"]},
        "factors": [],
        "methods": ["counter"],
        "zones": ["DE"],
        "hardware": ["gpu H100"],
        "pue": 1.2,
    }
    return {"blocks": blocks, "stated": {**conditions, **stated}}


def test_sites_are_combined_from_their_quarter_hours_alone(admin: TestClient) -> None:
    told = post(admin, baseline=totals(0), treatment=totals(1))
    assert told["verdict"] == "saves"
    assert {block["site"] for block in told["baseline"]["blocks"]} == {"north", "south"}


OTHER_CONDITIONS: list[tuple[dict[str, Any], str]] = [
    ({"boundary": {}}, "boundary"),
    ({"factors": ["f2"]}, "factor_snapshot"),
    ({"methods": ["modelled"]}, "method_class"),
    ({"hardware": ["gpu A100"]}, "hardware"),
    ({"zones": ["FR"]}, "zone"),
    ({"pue": 1.6}, "pue"),
]


def test_sites_under_other_conditions_are_refused_by_what_differs(admin: TestClient) -> None:
    for changed, differ in OTHER_CONDITIONS:
        asked = comparison(baseline=totals(0), treatment=totals(1, **changed))
        problem = refused(admin.post("/v1/experiments", json=asked), 422, "arms_differ")
        assert problem["differ"] == [differ]


def test_a_finer_look_at_a_site_is_refused(admin: TestClient) -> None:
    fine = totals(0)
    fine["blocks"][0]["end"] = to_rfc3339(T + MINUTE)
    refused(admin.post("/v1/experiments", json=comparison(baseline=fine)), 422, "not_quarter_hours")
    unknown = comparison(baseline=totals(0, methods=["guess"]))
    refused(admin.post("/v1/experiments", json=unknown), 422, "unknown_method")
    bare = comparison(baseline={"blocks": totals(0)["blocks"]})
    refused(admin.post("/v1/experiments", json=bare), 422, "conditions_required")
    mixed = comparison(baseline={**totals(0), "blocks": [*totals(0)["blocks"], windows(0)[0]]})
    refused(admin.post("/v1/experiments", json=mixed), 422, "mixed_blocks")


# What is published


def test_other_teams_see_a_published_experiment_without_its_names(
    service: Service, arms: TestClient, team: TestClient
) -> None:
    told = post(arms, blocks=runs, publish=True, title="int8 of the search")
    answer = team.get(f"/v1/experiments/{told['id']}")
    shown = answer.json()
    for name in ('"a0"', '"default', "default/w", told["recorded_by"]):
        assert name not in answer.text, name
    assert told["team"] == "default"
    assert shown["workload"] == shown["baseline"]["workload"] == shown["treatment"]["workload"]
    assert shown["workload"].startswith(f"{shown['team']}/workload-")
    names = {"team", "workload", "recorded_by", "baseline", "treatment"}
    assert {k: v for k, v in shown.items() if k not in names} == {
        k: v for k, v in told.items() if k not in names
    }
    energies = [[b["energy_mj"] for b in one["baseline"]["blocks"]] for one in (told, shown)]
    assert energies[0] == energies[1]
    assert len({block["run"] for block in shown["baseline"]["blocks"]}) == BLOCKS
    listed = team.get("/v1/experiments").json()["experiments"][0]
    assert (listed["team"], listed["workload"]) == (shown["team"], shown["workload"])
    page = team.get(f"/experiments/{told['id']}").text
    assert "default/w" not in page + team.get("/web/experiments.csv").text


def test_a_team_s_pseudonyms_are_its_own_and_last(
    service: Service, arms: TestClient, team: TestClient
) -> None:
    """The same name in all that it publishes, another in what another team does."""
    first, second = (post(arms, publish=True)["id"] for _ in range(2))
    seen = [team.get(f"/v1/experiments/{id_}").json() for id_ in (first, second)]
    assert seen[0]["workload"] == seen[1]["workload"]
    with writing(service.context.engine) as connection:
        salts = dict(connection.execute(text("SELECT name, salt FROM team")).all())
        assert len(salts["default"]) == 64
        connection.execute(text("UPDATE team SET salt = '' WHERE name = 'default'"))
    unsalted = team.get(f"/v1/experiments/{first}").json()
    assert unsalted["workload"] == "team-withheld/workload-withheld"
    post(arms, publish=True)
    anew = team.get(f"/v1/experiments/{first}").json()
    assert anew["workload"] not in (seen[0]["workload"], unsalted["workload"])


def test_an_erased_team_leaves_no_name_and_no_pseudonym_of_its_experiments(
    service: Service, admin: TestClient
) -> None:
    """A list with an erased one was an error of ours."""
    blue = service.client("blue", ADMIN_SCOPES)
    send_arms(blue)
    gone = post(blue, publish=True)["id"]
    assert admin.get("/v1/experiments").json()["experiments"]
    erase_team(service.context, "blue", "k1")
    assert admin.get("/v1/experiments").json()["experiments"] == []
    refused(admin.get(f"/v1/experiments/{gone}"), 404, "experiment_erased")
    assert admin.get("/v1/recommendations").status_code == 200
    assert admin.get("/v1/audit/verify").json()["intact"] is True
    with writing(service.context.engine) as connection:
        assert connection.scalar(text("SELECT salt FROM team WHERE name LIKE 'erased-%'")) == ""


# The log


def test_another_teams_experiment_is_not_there_until_it_is_published(
    service: Service, arms: TestClient, team: TestClient, clock: FakeClock
) -> None:
    hidden = post(arms)["id"]
    clock.advance(1)
    shown = post(arms, publish=True)["id"]
    refused(team.get(f"/v1/experiments/{hidden}"), 404, "unknown_experiment")
    assert team.get(f"/v1/experiments/{shown}").status_code == 200
    assert [e["id"] for e in team.get("/v1/experiments").json()["experiments"]] == [shown]
    listed = arms.get("/v1/experiments?workload=w&technique=quantisation&limit=1").json()
    assert (listed["experiments"][0]["id"], listed["next"]) == (shown, shown)
    rest = arms.get(f"/v1/experiments?after={shown}").json()["experiments"]
    assert [e["id"] for e in rest] == [hidden]
    assert rest[0]["before_g_per_unit"] > rest[0]["after_g_per_unit"]
    refused(service.stranger.get("/v1/experiments"), 401, "key_missing")
    foreign = team.post("/v1/experiments", json=comparison(workload="default/w"))
    refused(foreign, 404, "unknown_workload")


def test_the_chain_proves_that_an_experiment_is_as_it_was_recorded(
    service: Service, arms: TestClient
) -> None:
    told = post(arms)
    assert told["audit_entry"] > 0
    assert arms.get("/v1/audit/verify").json()["intact"] is True
    with writing(service.context.engine) as connection:
        connection.execute(text("UPDATE experiment SET verdict = 'costs'"))
    proof = arms.get("/v1/audit/verify").json()
    assert [fault["code"] for fault in proof["faults"]] == ["experiment_changed"]
