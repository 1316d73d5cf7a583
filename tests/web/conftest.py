from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import generated_day
import pytest
from browsing import CHROMIUM, Service, Visit, serve
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


@pytest.fixture(scope="session")
def service(day: Context) -> Iterator[Service]:
    running = serve(day)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """For one file: as long as it is there an event loop runs in this thread, and tests that
    start one of their own could not."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, service: Service) -> Iterator[Any]:
    contexts = []

    def look(at: Service = service, **options: Any) -> Visit:
        settings = {"viewport": {"width": 1360, "height": 900}, **options}
        contexts.append(chromium.new_context(**settings))
        seen = Visit(contexts[-1].new_page())
        seen.watch()
        seen.sign_in(at)
        return seen

    yield look
    for context in contexts:
        context.close()
