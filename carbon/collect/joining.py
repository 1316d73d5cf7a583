"""How a machine gets a key of its own: it shows a join token to the server, once, and keeps what
it is given in the agent's folder, readable by this user alone."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from carbon.collect.agent_dir import AgentDir
from carbon.collect.machine import host_name
from carbon.collect.server_address import ServerAddress, find_server
from carbon.errors import CarbonError, InvalidInput, Unavailable
from carbon.wire.joining import JoinAnswer, JoinBody

if TYPE_CHECKING:
    import httpx2

log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 10.0


class Joined(msgspec.Struct, frozen=True):
    """What is kept of a joining."""

    url: str
    key: str
    host: str
    #: Of the token, so that the same one given again at each start asks for nothing.
    token_sha256: str


class _Problem(msgspec.Struct, frozen=True):
    code: str = "join_refused"
    detail: str = ""


def agent_server(
    data_dir: Path, url: str | None = None, key: str | None = None
) -> ServerAddress | None:
    """Where the agent delivers: what is stated, else where this machine joined, else what
    `carbon up` left in the data folder. Read at every attempt."""
    joined = None if key else read_joined(data_dir)
    if joined is None or (url is not None and url.rstrip("/") != joined.url):
        return find_server(data_dir, url, key)
    return ServerAddress(joined.url, joined.key)


def read_joined(data_dir: Path) -> Joined | None:
    """None where this machine never joined, or what it kept cannot be read."""
    try:
        return msgspec.json.decode(_joined_file(data_dir).read_bytes(), type=Joined)
    except (OSError, msgspec.DecodeError):
        return None


class Joining(Struct):
    """One token's joining, to be tried until it is done."""

    data_dir: Path
    token: str
    url: str | None = None
    transport: httpx2.BaseTransport | None = None

    @property
    def is_done(self) -> bool:
        joined = read_joined(self.data_dir)
        return joined is not None and joined.token_sha256 == _fingerprint(self.token)

    def join(self) -> Joined:
        """Without effect where it is done.

        Raises InvalidInput(`no_server`) where no address is known, Unavailable
        (`server_unreachable`, `server_not_ready`) where it may be tried again, and CarbonError
        with the server's code where the token is no good.
        """
        joined = read_joined(self.data_dir)
        if joined is not None and joined.token_sha256 == _fingerprint(self.token):
            return joined
        server = agent_server(self.data_dir, self.url)
        if server is None:
            raise InvalidInput(
                "no_server", "which server is to be joined? State it with --url or CARBON_URL"
            )
        folder = AgentDir(self.data_dir)
        folder.create()
        attempt = _attempt(folder.folder / "join_attempt")
        told = self._ask(server.url, JoinBody(self.token, host_name(), attempt))
        joined = Joined(server.url, told.key, told.host, _fingerprint(self.token))
        _write(_joined_file(self.data_dir), msgspec.json.encode(joined))
        (folder.folder / "join_attempt").unlink(missing_ok=True)
        log.info("joined %s as %s, key %s", joined.url, joined.host, told.key_id)
        return joined

    def _ask(self, url: str, body: JoinBody) -> JoinAnswer:
        import httpx2  # late: most starts need no HTTP client before their first look

        try:
            with httpx2.Client(timeout=_TIMEOUT_S, transport=self.transport) as client:
                answer = client.post(
                    f"{url}/v1/hosts/join",
                    content=msgspec.json.encode(body),
                    headers={"Content-Type": "application/json"},
                )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            detail = f"{url} does not answer: {error or type(error).__name__}"
            raise Unavailable("server_unreachable", detail) from None
        if answer.is_success:
            return msgspec.json.decode(answer.content, type=JoinAnswer)
        raise _refusal(url, answer)


def _refusal(url: str, answer: httpx2.Response) -> CarbonError:
    try:
        problem = msgspec.json.decode(answer.content, type=_Problem)
    except msgspec.DecodeError:
        problem = _Problem()
    detail = problem.detail or f"{url} answers {answer.status_code}"
    if answer.is_server_error or answer.status_code == 429:
        return Unavailable("server_not_ready", detail)
    return CarbonError(problem.code, detail)


def _joined_file(data_dir: Path) -> Path:
    return AgentDir(data_dir).folder / "joined.json"


def _fingerprint(token: str) -> str:
    import hashlib  # late: most agents join once

    return hashlib.sha256(token.encode()).hexdigest()


def _attempt(path: Path) -> str:
    """The same until a joining succeeds: its answer may get lost on the way."""
    try:
        return path.read_text() or os.urandom(16).hex()
    except OSError:
        fresh = os.urandom(16).hex()
        _write(path, fresh.encode())
        return fresh


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and for this user alone."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
