"""The dashboard alone, as an application and as a browser sees it."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.testclient import TestClient

from carbon.api.problems import handle_errors
from carbon.services.context import Context
from carbon.web import mount


def application(context: Context) -> FastAPI:
    app = FastAPI()
    app.state.context = context
    handle_errors(app)
    mount(app)
    return app


def browser(context: Context, key: str | None = None) -> TestClient:
    """A client that acts as a browser on our own pages; signed in where a key is given."""
    client = TestClient(
        application(context),
        base_url="http://127.0.0.1:8000",
        headers={"Sec-Fetch-Site": "same-origin"},
        follow_redirects=False,
    )
    if key:
        assert client.post("/sign-in", data={"key": key}).status_code == 303
    return client
