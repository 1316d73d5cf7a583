"""Where `carbon up` cannot start: one line that says why and what to do, exit 1, nothing left."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from acceptance import Deployment, free_port


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path) as made:
        yield made


def refusal(deployment: Deployment, *arguments: str) -> str:
    """The one line of a start that fails."""
    done = deployment.carbon("up", *arguments, timeout=30)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_a_second_one_on_the_same_data_folder_is_told_where_the_first_is(
    deployment: Deployment,
) -> None:
    deployment.up()
    deployment.wait_for_agent(devices=1)
    agent = deployment.agent_pid
    line = refusal(deployment, "--port", str(free_port()))
    assert deployment.url in line
    assert "--data-dir" in line
    assert deployment.is_ready()
    assert deployment.agent_pid == agent
    assert deployment.end() == 0


def test_after_a_kill_the_folder_is_free_again(deployment: Deployment) -> None:
    deployment.up()
    deployment.end(signal.SIGKILL)
    deployment.up()
    assert deployment.end() == 0
    assert deployment.processes() == []


def test_a_taken_port_is_named(deployment: Deployment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = refusal(deployment, "--port", port)
    assert port in line
    assert "--port" in line
    assert deployment.processes() == []


def test_a_database_that_cannot_be_written_is_named(deployment: Deployment) -> None:
    (deployment.data_dir / "carbon.db").mkdir(parents=True)
    line = refusal(deployment)
    assert str(deployment.data_dir / "carbon.db") in line
    assert "--db" in line
    assert deployment.processes() == []


def test_a_database_that_is_none_is_named(deployment: Deployment) -> None:
    deployment.data_dir.mkdir()
    (deployment.data_dir / "carbon.db").write_bytes(b"this is a letter, not a database" * 200)
    assert str(deployment.data_dir / "carbon.db") in refusal(deployment)


def test_a_data_folder_that_cannot_be_made_is_named(deployment: Deployment) -> None:
    deployment.data_dir.write_text("a file stands here")
    line = refusal(deployment)
    assert str(deployment.data_dir) in line
    assert "--data-dir" in line


def test_the_network_is_not_served_before_there_is_a_key(deployment: Deployment) -> None:
    line = refusal(deployment, "--host", "0.0.0.0")
    assert "carbon key create" in line
    assert deployment.processes() == []


def test_an_unknown_kind_of_database_is_a_usage_error(deployment: Deployment) -> None:
    done = deployment.carbon("up", "--db", "mysql://localhost/carbon", timeout=30)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "sqlite:///" in done.stderr
