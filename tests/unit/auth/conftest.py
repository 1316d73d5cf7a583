from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon.clock import FakeClock
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import memory_engine
from carbon.storage.tables import metadata

NOW_MS = 1_790_000_000_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW_MS)


@pytest.fixture
def context(tmp_path: Path, clock: FakeClock) -> Iterator[Context]:
    engine = memory_engine()
    metadata.create_all(engine)
    yield Context(engine, Settings(data_dir=tmp_path / "data"), clock)
    engine.dispose()
