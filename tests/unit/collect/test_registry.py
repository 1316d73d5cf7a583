"""The agent's socket: several clients at once, and no answer that ends a connection."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest

from carbon.collect.agent_dir import AgentDir
from carbon.collect.protocol import Accepted, Request, RunStart, StatusRequest, Units
from carbon.collect.registry import RegistryServer


def handle(request: Request) -> msgspec.Struct:
    if isinstance(request, Units):
        return Accepted(len(request.units))
    if isinstance(request, StatusRequest):
        raise ValueError("broken")
    return request


@pytest.fixture
def path() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder) / "agent.sock"


@pytest.fixture
def server(path: Path) -> Iterator[RegistryServer]:
    server = RegistryServer(path, handle)
    server.start()
    yield server
    server.stop()


class Caller:
    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("rb")

    def ask(self, text: str) -> dict[str, Any]:
        self.socket.sendall(text.encode() + b"\n")
        answer: dict[str, Any] = json.loads(self.lines.readline())
        return answer


def test_one_connection_asks_many_times(server: RegistryServer) -> None:
    caller = Caller(server.path)
    for _ in range(3):
        assert caller.ask('{"op":"units","units":[]}') == {"accepted": 0}


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"op":"fly"}', '{"op":"run_start"}', "\x00"])
def test_nonsense_is_answered_and_the_next_question_too(server: RegistryServer, line: str) -> None:
    caller = Caller(server.path)
    assert caller.ask(line)["error"] == "bad_request"
    assert caller.ask('{"op":"units","units":[]}') == {"accepted": 0}


def test_a_request_that_fails_says_so(server: RegistryServer) -> None:
    assert Caller(server.path).ask('{"op":"status"}') == {
        "error": "failed",
        "detail": "ValueError: broken",
    }


def test_many_clients_at_once(server: RegistryServer) -> None:
    answers: list[str] = []

    def ask(number: int) -> None:
        caller = Caller(server.path)
        for _ in range(5):
            answers.append(caller.ask(f'{{"op":"run_start","run":"r{number}"}}')["run"])

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(answers) == sorted(f"r{number}" for number in range(8) for _ in range(5))


def test_only_its_user_may_connect(server: RegistryServer) -> None:
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o600


def test_a_socket_left_behind_is_replaced(path: Path) -> None:
    left = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    left.bind(str(path))
    server = RegistryServer(path, handle)
    server.start()
    assert Caller(path).ask('{"op":"units","units":[]}') == {"accepted": 0}
    server.stop()
    assert not path.exists()


def test_stopping_hangs_up(path: Path) -> None:
    server = RegistryServer(path, handle)
    server.start()
    caller = Caller(path)
    caller.ask('{"op":"units","units":[]}')
    server.stop()
    assert caller.lines.readline() == b""


def test_a_request_is_written_as_it_is_read() -> None:
    request = RunStart("r1", "team/w", 7, True)
    assert json.loads(msgspec.json.encode(request)) == {
        "op": "run_start",
        "run": "r1",
        "workload": "team/w",
        "pid": 7,
        "reserve": True,
    }


def test_a_path_too_long_for_a_socket_gets_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = AgentDir(Path("/data"))
    assert short.socket() == Path("/data/agent/agent.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    long = [AgentDir(Path("/data") / ("x" * 120) / name).socket() for name in ("a", "b", "a")]
    assert long[0] == long[2] != long[1]
    assert long[0].parent == tmp_path / "carbon"
