"""The dashboard: pages, the data behind their charts, and what they are made of."""

from __future__ import annotations

from fastapi import FastAPI

from carbon.web import (
    budget_routes,
    lead_routes,
    live,
    names_routes,
    people_routes,
    platform_routes,
    proof_routes,
    report_routes,
    routes,
    team_routes,
)


def mount(app: FastAPI) -> None:
    """Adds the pages to an application whose `state.context` is, or will be, set."""
    app.state.live = live.LiveFleet()
    for module in (
        routes,
        lead_routes,
        report_routes,
        proof_routes,
        budget_routes,
        people_routes,
        names_routes,
        team_routes,
        platform_routes,
        live,
    ):
        app.include_router(module.router)
