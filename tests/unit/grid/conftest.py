"""What the grid tests share: a frozen moment, a local double of the feeds, a quick client."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from grid_double import GridDouble

from carbon.clock import FakeClock, from_rfc3339

NOW_MS = from_rfc3339("2026-04-25T18:10:00Z")


@pytest.fixture
def now_ms() -> int:
    return NOW_MS


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def double() -> Iterator[GridDouble]:
    with GridDouble(NOW_MS) as running:
        yield running


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    """A client that gives up soon, and never leaves this machine by a proxy."""
    with httpx2.Client(timeout=5.0, trust_env=False) as client:
        yield client


@pytest.fixture
def impatient() -> Iterator[httpx2.Client]:
    """For a feed that never answers."""
    with httpx2.Client(timeout=0.1, trust_env=False) as client:
        yield client
