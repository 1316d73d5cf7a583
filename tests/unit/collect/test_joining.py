"""How a machine joins: the token is shown once, the key is kept, and nothing waits for a server."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx2
import msgspec
import pytest

from carbon.clock import FakeClock
from carbon.collect.agent_dir import AgentDir
from carbon.collect.joining import Joining, agent_server, read_joined
from carbon.collect.server_address import FILE_NAME, ServerAddress
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb
from carbon.collect.upload import Uploader
from carbon.errors import CarbonError, InvalidInput, Unavailable
from carbon.wire.energy import EnergyBatch, EnergyInterval
from carbon.wire.joining import JoinAnswer, JoinBody

URL = "http://carbon.example"


class Server:
    """Answers joinings, or fails as it is told."""

    def __init__(self) -> None:
        self.asked: list[JoinBody] = []
        self.answers: list[httpx2.Response | Exception] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(msgspec.json.decode(request.content, type=JoinBody))
        given = self.answers.pop(0) if self.answers else self.key()
        if isinstance(given, Exception):
            raise given
        return given

    def key(self) -> httpx2.Response:
        told = JoinAnswer(f"ck_{len(self.asked)}", "id", self.asked[-1].host, "default")
        return httpx2.Response(201, content=msgspec.json.encode(told))


@pytest.fixture
def server() -> Server:
    return Server()


def joining(folder: Path, server: Server, token: str = "cj_1", url: str | None = URL) -> Joining:
    return Joining(folder, token, url, httpx2.MockTransport(server))


def test_the_key_is_kept_where_delivery_looks_for_it(tmp_path: Path, server: Server) -> None:
    joining(tmp_path, server).join()
    assert agent_server(tmp_path) == ServerAddress(URL, "ck_1")
    kept = AgentDir(tmp_path).folder / "joined.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_the_same_token_asks_once_and_another_anew(tmp_path: Path, server: Server) -> None:
    for token in ("cj_1", "cj_1", "cj_2"):
        assert not joining(tmp_path, server, "cj_3").is_done
        joining(tmp_path, server, token).join()
    assert [body.token for body in server.asked] == ["cj_1", "cj_2"]
    assert agent_server(tmp_path) == ServerAddress(URL, "ck_2")


def test_a_lost_answer_is_asked_for_as_the_same_attempt(tmp_path: Path, server: Server) -> None:
    server.answers = [httpx2.ReadTimeout("late")]
    with pytest.raises(Unavailable, match="does not answer"):
        joining(tmp_path, server).join()
    joining(tmp_path, server).join()
    joining(tmp_path, server, "cj_2").join()
    first, again, other = (body.attempt for body in server.asked)
    assert first == again != other


def test_what_is_stated_comes_before_what_was_joined(tmp_path: Path, server: Server) -> None:
    joining(tmp_path, server).join()
    other = "http://other.example"
    assert agent_server(tmp_path, url=other) == ServerAddress(other, None)
    assert agent_server(tmp_path, url=URL + "/") == ServerAddress(URL, "ck_1")
    assert agent_server(tmp_path, url=URL, key="ck_own") == ServerAddress(URL, "ck_own")


def test_a_machine_that_never_joined_asks_the_local_server(tmp_path: Path) -> None:
    assert agent_server(tmp_path) is None
    (tmp_path / FILE_NAME).write_text('{"url": "http://127.0.0.1:8000", "agent_key": "ck_l"}')
    assert agent_server(tmp_path) == ServerAddress("http://127.0.0.1:8000", "ck_l")
    AgentDir(tmp_path).create()
    (AgentDir(tmp_path).folder / "joined.json").write_text("{damaged")
    assert read_joined(tmp_path) is None
    assert agent_server(tmp_path) == ServerAddress("http://127.0.0.1:8000", "ck_l")


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (401, {"code": "token_spent", "detail": "used up"}, CarbonError, "token_spent"),
        (404, {}, CarbonError, "join_refused"),
        (503, {"code": "database_unavailable", "detail": "away"}, Unavailable, "server_not_ready"),
        (429, {}, Unavailable, "server_not_ready"),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(
    tmp_path: Path, server: Server, status: int, body: object, kind: type[CarbonError], code: str
) -> None:
    server.answers = [httpx2.Response(status, json=body)]
    with pytest.raises(kind) as refused:
        joining(tmp_path, server).join()
    assert refused.value.code == code
    assert isinstance(refused.value, Unavailable) == (kind is Unavailable)
    assert read_joined(tmp_path) is None


def test_without_an_address_nobody_is_asked(tmp_path: Path, server: Server) -> None:
    with pytest.raises(InvalidInput, match="--url"):
        joining(tmp_path, server, url=None).join()
    assert server.asked == []


def test_delivery_waits_for_the_joining_and_loses_nothing(tmp_path: Path, server: Server) -> None:
    spool = Spool(SpoolDb(tmp_path / "spool.db"))
    spool.append_energy(EnergyBatch("s", "b", 0, [EnergyInterval("GPU-0", 0, 1000, 5, "counter")]))
    server.answers = [httpx2.ConnectError("refused")]
    sent: list[httpx2.Request] = []

    def find() -> ServerAddress | None:
        joining(tmp_path, server).join()
        return agent_server(tmp_path)

    def take(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(202, json={"accepted": 1})

    uploader = Uploader(spool, find, FakeClock(), transport=httpx2.MockTransport(take))
    assert not uploader.deliver_pending()
    assert "does not answer" in str(uploader.last_error)
    assert spool.depth == 1
    assert uploader.deliver_pending()
    assert sent[0].headers["authorization"] == "Bearer ck_2"
    assert spool.depth == 0
