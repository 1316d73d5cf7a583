"""The dashboard: pages, the data behind their charts, and what they are made of."""

from __future__ import annotations

from fastapi import FastAPI

from carbon.web.routes import router


def mount(app: FastAPI) -> None:
    """Adds the pages to an application whose `state.context` is, or will be, set."""
    app.include_router(router)
