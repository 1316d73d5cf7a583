from __future__ import annotations

from collections.abc import Iterator

import generated_day
import pytest
from dashboard_client import browser
from fastapi.testclient import TestClient

from carbon.services.context import Context


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


@pytest.fixture
def admin(day: Context) -> TestClient:
    return browser(day, generated_day.admin_key(day))


@pytest.fixture
def newcomer(first_start: Context) -> TestClient:
    return browser(first_start, generated_day.admin_key(first_start))
