"""Experiments and recommendations on every store: the same answers, and a log that holds."""

from __future__ import annotations

from collections.abc import Callable

from arms import comparison, runs, send_arms
from service import Service
from sqlalchemy import Engine

from carbon.services.context import Context


def test_an_experiment_is_recorded_listed_summed_and_proven(
    engine: Engine, new_context: Callable[[Engine], Context]
) -> None:
    with Service.of(new_context(engine)) as service:
        admin = service.admin
        send_arms(admin)
        told = admin.post("/v1/experiments", json=comparison(runs, publish=True)).json()
        assert told["verdict"] == "saves"
        listed = admin.get("/v1/experiments?technique=quantisation").json()["experiments"]
        assert [one["id"] for one in listed] == [told["id"]]
        groups = admin.get("/v1/sci?group_by=technique").json()["groups"]
        assert {group["group"]["technique"] for group in groups} == {"quantisation"}
        assert admin.get("/v1/audit/verify").json()["intact"] is True

        suggested = admin.get("/v1/recommendations?state=all")
        assert suggested.status_code == 200, suggested.text
        for one in suggested.json()["recommendations"]:
            done = admin.patch(f"/v1/recommendations/{one['id']}", json={"state": "adopted"})
            assert done.json()["follow_up"] is not None
        data = admin.get("/v1/teams/default/data").text
        assert told["id"] in data
