"""Talking to the agent of this host over its socket."""

from __future__ import annotations

import os
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
    """One connection, for any thread; answers come in the order of the requests."""

    def __init__(self, data_dir: Path, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Raises AgentGone where no agent serves this data folder."""
        self._path = _socket_path(data_dir)
        self._timeout_s = timeout_s
        self._socket = _connected(self._path, timeout_s)
        self._answers = self._socket.makefile("rb")
        #: Answers to what was posted, which nobody has read yet.
        self._unread = 0
        self._watched: socket.socket | None = None
        self._watchers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self.is_open = True

    def post(self, request: Request) -> None:
        """Sends a request and does not wait: its answer is read, and passed over, by the next call.
        Raises AgentGone, also where the agent is too busy to take it."""
        with self._lock:
            try:
                self._socket.settimeout(0)
                self._socket.sendall(_line(request))
            except OSError as error:
                self.is_open = False
                raise AgentGone(str(error)) from None
            self._unread += 1

    def call(self, request: Request, answer: type[A], wait_s: float = 0.0) -> A:
        """One request and its answer. `wait_s`: time that the request itself asks the agent to
        take. Raises AgentGone and AgentRefused."""
        with self._lock:
            try:
                self._socket.settimeout(self._timeout_s + wait_s)
                self._socket.sendall(_line(request))
                while self._unread:
                    self._answers.readline()
                    self._unread -= 1
                line = self._answers.readline()
            except OSError as error:
                self.is_open = False  # what is read from here on would answer another request
                raise AgentGone(str(error)) from None
        if not line:
            self.is_open = False
            raise AgentGone("the agent ended")
        return _decoded(line, answer)

    def watch(self, gone: Callable[[], None]) -> None:
        """Calls `gone` in a thread as soon as the agent ends or hangs up."""
        self._watchers.append(gone)
        if self._watched is None:
            self._watched = _connected(self._path, self._timeout_s)
            self._watched.settimeout(None)
            threading.Thread(
                target=self._wait_for_end, args=(self._watched,), name="carbon-watch", daemon=True
            ).start()

    def unwatch(self, gone: Callable[[], None]) -> None:
        with suppress(ValueError):  # it was called already
            self._watchers.remove(gone)

    def close(self) -> None:
        """Ends the watch, too; whoever watches is told then as well."""
        self.is_open = False
        self._answers.close()
        self._socket.close()
        if self._watched is not None:
            with suppress(OSError):  # the agent went first
                self._watched.shutdown(socket.SHUT_RDWR)

    def _wait_for_end(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # reset: it is gone all the same
            connection.recv(1)
        self.is_open = False
        while self._watchers:
            self._watchers.pop()()


_shared: dict[Path, AgentLink] = {}
_shared_lock = threading.Lock()


def shared_link(data_dir: Path, timeout_s: float) -> AgentLink:
    """This process's connection to the agent of a data folder, which stays for the next who asks.
    Raises AgentGone."""
    with _shared_lock:
        link = _shared.get(data_dir)
        if link is None or not link.is_open:
            link = _shared[data_dir] = AgentLink(data_dir, timeout_s)
        return link


def _forget_in_child() -> None:
    """A forked child would read answers that are the parent's."""
    global _shared_lock
    _shared_lock = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget_in_child)


def _line(request: Request) -> bytes:
    return msgspec.json.encode(request) + b"\n"


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


def _connected(path: Path, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        raise AgentGone(str(error)) from None
    return connection
