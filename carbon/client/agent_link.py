"""Talking to the agent of this host over its socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from carbon.collect.agent_dir import AgentDir
from carbon.collect.lock import read_holder
from carbon.collect.protocol import Failure, Request

A = TypeVar("A", bound=msgspec.Struct)

#: Closing a period takes some ms; an agent that needs longer than this is in trouble.
CALL_TIMEOUT_S = 5.0


class AgentGone(Exception):
    """Nobody answers at the socket."""


class AgentRefused(Exception):
    """The agent answered that it cannot."""


class AgentLink:
    def __init__(self, data_dir: Path) -> None:
        """Raises AgentGone where no agent serves this data folder."""
        self._path = _socket_path(data_dir)
        self._socket = _connected(self._path)
        self._answers = self._socket.makefile("rb")
        self._watched: socket.socket | None = None
        self._lock = threading.Lock()

    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A:
        """One request and its answer. `wait_s`: time that the request itself asks the agent to
        take. Raises AgentGone and AgentRefused."""
        with self._lock:
            try:
                self._socket.settimeout(CALL_TIMEOUT_S + wait_s)
                self._socket.sendall(msgspec.json.encode(request) + b"\n")
                line = self._answers.readline()
            except OSError as error:
                raise AgentGone(str(error)) from None
        if not line:
            raise AgentGone("the agent ended")
        return _decoded(line, answer)

    def watch(self, gone: Callable[[], None]) -> None:
        """Calls `gone` in a thread as soon as the agent ends or hangs up."""
        self._watched = _connected(self._path)
        self._watched.settimeout(None)
        threading.Thread(
            target=_wait_for_end, args=(self._watched, gone), name="carbon-watch", daemon=True
        ).start()

    def close(self) -> None:
        """Ends the watch, too; `gone` is called then as well."""
        self._answers.close()
        self._socket.close()
        if self._watched is not None:
            with suppress(OSError):  # the agent went first
                self._watched.shutdown(socket.SHUT_RDWR)


def _decoded(line: bytes, answer: type[A]) -> A:
    try:
        failure = msgspec.json.decode(line, type=Failure)
    except msgspec.ValidationError:
        return msgspec.json.decode(line, type=answer)
    raise AgentRefused(failure.detail)


def _socket_path(data_dir: Path) -> Path:
    """As the holder of the lock wrote it down: its environment may differ from ours."""
    folder = AgentDir(data_dir)
    holder = read_holder(folder.pid_file)
    if holder is None:
        raise AgentGone("no agent has been here")
    return holder.socket


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CALL_TIMEOUT_S)
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise AgentGone(str(error)) from None
    return connection


def _wait_for_end(connection: socket.socket, gone: Callable[[], None]) -> None:
    with connection, suppress(OSError):  # reset: it is gone all the same
        connection.recv(1)
    gone()
