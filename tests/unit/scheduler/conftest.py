from __future__ import annotations

from pathlib import Path

import pytest
from job_house import House
from sqlalchemy import Engine


@pytest.fixture
def house(memory: Engine, tmp_path: Path) -> House:
    return House.build(memory, tmp_path)
