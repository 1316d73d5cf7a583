"""Where the benchmark data lie, and small series that tests can check by hand."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

_REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def bench_data() -> Path:
    folder = Path(os.environ.get("CARBON_BENCH_DATA", _REPOSITORY.parent / "shared" / "data"))
    if not (folder / "jobs" / "pai_1k.csv").exists():
        pytest.skip("benchmark data absent: set CARBON_BENCH_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def hourly_of(bench_data: Path) -> Callable[[str], np.ndarray]:
    """The year 2022 of a zone, g/kWh per hour."""
    with (bench_data / "carbon" / "zones_2022_hourly.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    return lambda zone: np.array([float(row[rows[0].index(zone)]) for row in rows[1:]])
