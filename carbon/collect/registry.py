"""The agent's socket: runs register here, and anybody of this user may ask how it goes."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from carbon.collect.protocol import Failure, Request, decode_request

log = logging.getLogger(__name__)

#: An answer may be long; a request is not.
_LONGEST_REQUEST = 4 * 1024 * 1024

Handler = Callable[[Request], msgspec.Struct]


class RegistryServer:
    """Serves newline JSON on a unix socket that only this user can open; each connection has a
    thread and may ask any number of times."""

    def __init__(self, path: Path, handle: Handler) -> None:
        """For the holder of the sampler's lock alone: takes the place of a socket left behind."""
        self.path = path
        self._handle = handle
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(128)

    def start(self) -> None:
        threading.Thread(target=self._accept, name="carbon-registry", daemon=True).start()

    def stop(self) -> None:
        """Ends every connection, so that whoever watches one knows at once."""
        self.path.unlink(missing_ok=True)
        with suppress(OSError):  # not connected, says one kernel; wakes `accept`, says another
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # stopped
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection.makefile("rb") as lines:  # the other side went away
            while line := lines.readline(_LONGEST_REQUEST):
                connection.sendall(msgspec.json.encode(self._answer(line)) + b"\n")
        with self._lock:
            self._connections.discard(connection)
        connection.close()

    def _answer(self, line: bytes) -> msgspec.Struct:
        try:
            return self._handle(decode_request(line))
        except msgspec.DecodeError as error:
            return Failure("bad_request", str(error))
        except Exception as error:
            log.exception("a request on the socket failed")
            return Failure("failed", f"{type(error).__name__}: {error}")
