"""A machine's first start knows what its CPU draws before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from carbon import server
from carbon.collect.agent_dir import AgentDir
from carbon.collect.cpu_model import FigureCache, Machine
from carbon.settings import Settings


def test_the_figures_are_there_when_the_agent_is_begun(tmp_path: Path) -> None:
    with server._cpu_figures(Settings(data_dir=tmp_path, agent=True)):
        pass
    assert FigureCache(AgentDir(tmp_path).folder).get(Machine.here()) is not None


def test_without_an_agent_nobody_is_asked(tmp_path: Path) -> None:
    with server._cpu_figures(Settings(data_dir=tmp_path, agent=False)):
        pass
    assert FigureCache(AgentDir(tmp_path).folder).get(Machine.here()) is None


def test_a_folder_that_cannot_be_made_is_the_agent_s_to_tell(tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("in the way")
    with server._cpu_figures(Settings(data_dir=tmp_path, agent=True)):
        pass


def test_a_start_that_fails_ends_the_asking(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="no database"),
        server._cpu_figures(Settings(data_dir=tmp_path, agent=True)),
    ):
        raise RuntimeError("no database")
