from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from job_house import House, fresh_engine


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    engine = fresh_engine()
    yield House.build(engine, tmp_path)
    engine.dispose()
