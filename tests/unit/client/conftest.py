"""A data folder of its own for each test, and no agent left running in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_double import know_the_cpu

from carbon.client.embedded import stop_embedded
from carbon.collect.host_agent import AgentOptions


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CARBON_DATA_DIR", str(tmp_path))
    for name in ("CARBON_URL", "CARBON_KEY", "CARBON_RUN", "CARBON_WORKLOAD"):
        monkeypatch.delenv(name, raising=False)
    know_the_cpu(tmp_path)
    yield tmp_path
    stop_embedded(tmp_path, last_delivery_s=0.0)


@pytest.fixture
def options(data_dir: Path) -> AgentOptions:
    return AgentOptions(data_dir, period_s=600, zone="DE")
