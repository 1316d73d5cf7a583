from __future__ import annotations

from collections.abc import Iterator

import generated_day
import pytest
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


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """The generated day, with a live feed. Shared: read only, but for sessions."""
    context = generated_day.empty_context(tmp_path_factory.mktemp("day"))
    generated_day.fill(context)
    yield context
    context.engine.dispose()


@pytest.fixture(scope="session")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A service that was started a moment ago and has seen nothing."""
    context = generated_day.empty_context(tmp_path_factory.mktemp("first"))
    yield context
    context.engine.dispose()


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


@pytest.fixture
def admin(day: Context) -> TestClient:
    return browser(day, generated_day.admin_key(day))


@pytest.fixture
def newcomer(first_start: Context) -> TestClient:
    return browser(first_start, generated_day.admin_key(first_start))
