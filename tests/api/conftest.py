"""The whole application on a store in memory, as a client on this machine sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient
from job_house import fresh_engine
from service import Service
from sqlalchemy import Engine

from carbon.services.context import Context


@pytest.fixture
def context(new_context: Callable[[Engine], Context]) -> Iterator[Context]:
    engine = fresh_engine()
    yield new_context(engine)
    engine.dispose()


@pytest.fixture
def service(context: Context) -> Iterator[Service]:
    with Service.of(context) as made:
        yield made


@pytest.fixture
def admin(service: Service) -> TestClient:
    return service.admin


@pytest.fixture
def team(service: Service) -> TestClient:
    """A key of team `blue`, which rules its team and nothing else."""
    return service.client("blue")
