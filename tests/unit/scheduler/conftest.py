from __future__ import annotations

from pathlib import Path

import pytest
from job_house import House, fresh_engine


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(fresh_engine(), tmp_path)
