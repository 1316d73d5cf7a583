"""Short posts at the socket: the same answers as the long way gives, whatever is sent and however
it arrives."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
import uvicorn
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from job_house import fresh_engine
from ledger import interval
from service import NOON_MS, T

from carbon.api import short_posts
from carbon.api.routes import energy
from carbon.api.short_posts import MOST_BYTES, ShortPostProtocol, protocol_for
from carbon.app import SHORT_POSTS, create_app
from carbon.auth.keys import create_key
from carbon.clock import FakeClock, to_rfc3339
from carbon.domain.tenancy import TEAM_SCOPES, Scope
from carbon.errors import TooBusy
from carbon.services.context import Context
from carbon.services.ingest.writer import Writer
from carbon.settings import Settings

#: What sends a request the long way, and changes nothing of it.
LONG = "Origin: https://a.example\r\n"


@dataclass
class Socketed:
    """A server behind a real socket; `short` counts what was answered at it."""

    context: Context
    port: int
    key: str
    reader: str
    short: list[str] = field(default_factory=list)
    turn: int = 0

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def request(
        self,
        body: bytes,
        path: str = "/v1/energy",
        key: str = "",
        more: str = "",
        media: str = "application/json",
        encoding: str = "",
    ) -> bytes:
        if encoding:
            more += f"Content-Encoding: {encoding}\r\n"
        head = (
            f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key or self.key}\r\n"
            f"Content-Type: {media}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        )
        return head.encode() + body

    def ask(self, *requests: bytes) -> list[Answer]:
        """One after the other on one connection."""
        with self.connect() as connection:
            answers = []
            for one in requests:
                connection.sendall(one)
                answers.append(answered(connection))
            return answers

    def both(self, body: Callable[[str], bytes], **of: str) -> tuple[Answer, Answer]:
        """The short way and the long, each with names of its own."""
        self.turn += 1
        names = (f"s{self.turn:06}", f"l{self.turn:06}")
        before = len(self.short)
        short, long = (
            self.ask(self.request(body(name), more=more, **of))[0]
            for name, more in zip(names, ("", LONG), strict=True)
        )
        assert len(self.short) == before + 1
        return short.without(names[0]), long.without(names[1])


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def without(self, name: str) -> Answer:
        body = self.body.replace(name.encode(), b"NAME")
        headers = {k: v for k, v in self.headers.items() if k != "date"}
        return Answer(self.status, headers, body)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answered(connection: socket.socket, rest: bytearray | None = None) -> Answer:
    got = bytearray() if rest is None else rest
    while b"\r\n\r\n" not in got:
        part = connection.recv(65_536)
        assert part, "hung up"
        got += part
    head, _, behind = bytes(got).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    assert len(pairs) == len({name for name, _ in pairs})
    headers = dict(pairs)
    length = int(headers["content-length"])
    while len(behind) < length:
        part = connection.recv(65_536)
        assert part, "hung up"
        behind += part
    if rest is not None:
        rest[:] = behind[length:]
    return Answer(int(first.split()[1]), headers, behind[:length])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Socketed]:
    engine = fresh_engine()
    settings = Settings(data_dir=tmp_path_factory.mktemp("served"), feeds=False, zone="DE")
    context = Context(engine, settings, FakeClock(NOON_MS))
    app = create_app(context, background=False)
    listener = socket.create_server(("127.0.0.1", 0))
    kept: list[str] = []
    kind = protocol_for(app, SHORT_POSTS)

    class Watched(kind):  # type: ignore[misc, valid-type]
        def on_message_complete(self) -> None:
            if isinstance(self.cycle, short_posts._Exchange):
                kept.append(self.url.decode())
            super().on_message_complete()

    config = uvicorn.Config(app, http=Watched, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.005)
    key, _ = create_key(context, "k", "blue", TEAM_SCOPES)
    reader, _ = create_key(context, "r", "blue", {Scope.REPORTS_READ})
    yield Socketed(context, listener.getsockname()[1], key, reader, kept)
    server.should_exit = True
    thread.join(timeout=20)
    listener.close()
    engine.dispose()


def batch(name: str, **of: Any) -> bytes:
    sent = interval(T, T + 10_000, 5_000, f"GPU-{name}", workload=f"w{name}")
    return json.dumps({"source": name, "boot_id": "b", "seq": 1, "intervals": [sent]} | of).encode()


def test_a_reading_is_answered_as_the_long_way_does(served: Socketed) -> None:
    short, long = served.both(batch)
    assert short == long
    assert (short.status, short.json["accepted"]) == (202, 1)
    assert short.headers["content-type"] == "application/json"


numbers = st.one_of(st.integers(-1, 1 << 54), st.booleans(), st.none(), st.floats(), st.text())
changes = st.dictionaries(
    st.sampled_from(["start_ms", "end_ms", "energy_mj", "method", "workload", "run", "extra"]),
    numbers,
    max_size=2,
)


@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, max_size=3), st.dictionaries(st.sampled_from(["seq", "zone"]), numbers))
def test_whatever_is_sent_both_ways_answer_alike(
    served: Socketed, told: list[dict[str, Any]], around: dict[str, Any]
) -> None:
    def body(name: str) -> bytes:
        plain = {"device": f"GPU-{name}", "method": "counter", "workload": f"w{name}"}
        intervals = [
            {"start_ms": T + at * 10_000, "end_ms": T + (at + 1) * 10_000, "energy_mj": 1}
            | plain
            | one
            for at, one in enumerate(told)
        ]
        whole = {"source": name, "boot_id": "b", "seq": 1, "intervals": intervals} | around
        return json.dumps(whole).encode()

    short, long = served.both(body)
    assert short == long


@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40))
def test_what_is_no_json_is_refused_alike(served: Socketed, body: bytes) -> None:
    short, long = served.both(lambda _name: body)
    assert short == long
    assert short.status in (400, 422)


def test_who_may_not_is_refused_alike(served: Socketed) -> None:
    for key in ("ck_nobody", "x", served.reader, served.key[:-1] + "~"):
        short, long = served.both(batch, key=key)
        assert short == long
        assert short.status in (401, 403)


def test_what_nobody_foresaw_tells_nothing_of_its_insides(
    served: Socketed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_body: bytes) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(energy, "decode_energy", fails)
    short, long = served.both(batch)
    assert short == long
    assert (short.status, short.json["code"]) == (500, "internal_error")
    assert b"secret" not in short.body


@pytest.mark.parametrize(
    "changed",
    [
        ("Content-Type: application/json", "Content-Type: application/json; charset=utf-8"),
        ("Content-Length", "Content-Encoding: br\r\nContent-Length"),
        ("Content-Length", "Expect: 100-continue\r\nContent-Length"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("Host: a", "Host: a\r\nConnection: close"),
        ("/v1/energy", "/v1/energy?a=1"),
        ("Authorization: Bearer", "Authorization: Basic"),
    ],
)
def test_what_is_unusual_goes_the_long_way(served: Socketed, changed: tuple[str, str]) -> None:
    before = len(served.short)
    head, _, body = served.request(batch("unusual")).partition(b"\r\n\r\n")
    head = head.replace(changed[0].encode(), changed[1].encode())
    with served.connect() as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        got = connection.recv(65_536)
    assert got.startswith(b"HTTP/1.")
    assert len(served.short) == before


def test_a_large_body_of_a_known_key_is_answered_at_the_socket(served: Socketed) -> None:
    served.ask(served.request(batch("known")))
    before = len(served.short)
    (large,) = served.ask(served.request(batch("large", extra="x" * MOST_BYTES)))
    assert (large.status, large.json["accepted"]) == (202, 1)
    assert len(served.short) == before + 1


def test_a_large_body_is_not_read_of_just_anybody(served: Socketed) -> None:
    """The long way refuses it before its body is read."""
    before = len(served.short)
    fresh, _ = create_key(served.context, "f", "blue", TEAM_SCOPES)
    body = batch("anybody", extra="x" * MOST_BYTES)
    for key, status in (("ck_nobody", 401), (served.reader, 403), (fresh, 202)):
        head, _, _ = served.request(body, key=key).partition(b"\r\n\r\n")
        with served.connect() as connection:
            connection.sendall(head + b"\r\n\r\n" + (body if status == 202 else b""))
            assert answered(connection).status == status
    assert len(served.short) == before


def test_a_large_body_waits_where_too_many_do(
    served: Socketed, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.ask(served.request(batch("before")))
    body = batch("full", extra="x" * MOST_BYTES)

    def full(_writer: Writer) -> None:
        raise TooBusy("ingest_full", "too many batches are waiting; send again", 1)

    monkeypatch.setattr(Writer, "check_room", full)
    head, _, _ = served.request(body).partition(b"\r\n\r\n")
    with served.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        refused = answered(connection)
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")


def test_a_body_beyond_all_is_refused(served: Socketed) -> None:
    most = served.context.settings.max_body_bytes
    head, _, _ = (
        served.request(b"").replace(b"Length: 0", b"Length: %d" % (most + 1)).partition(b"\r\n\r\n")
    )
    with served.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
        refused = answered(connection)
    assert (refused.status, refused.json["code"]) == (413, "body_too_large")


def zstd(body: bytes) -> bytes:
    packed = pa.compress(body, codec="zstd", asbytes=True)
    assert isinstance(packed, bytes)
    return packed


PACKINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "zstd": zstd,
}


def as_arrow(body: bytes) -> bytes:
    told = json.loads(body)
    rows = pa.Table.from_pylist(told.pop("intervals"))
    head = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in told.items()
    }
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema.with_metadata(head)) as writer:
        writer.write_table(rows)
    return bytes(sink.getvalue())


@pytest.mark.parametrize("is_arrow", [False, True])
@pytest.mark.parametrize("encoding", PACKINGS)
@pytest.mark.parametrize("rows", [1, 300])
def test_in_whatever_form_it_comes_both_ways_answer_alike(
    served: Socketed, encoding: str, is_arrow: bool, rows: int
) -> None:
    def body(name: str) -> bytes:
        sent = [
            interval(
                T + n, T + n + 10_000, 5_000 if n % 7 else -1, f"GPU-{name}", workload=f"w{name}"
            )
            for n in range(0, rows * 10_000, 10_000)
        ]
        whole = json.dumps({"source": name, "boot_id": "b", "seq": 1, "intervals": sent}).encode()
        return PACKINGS[encoding](as_arrow(whole) if is_arrow else whole)

    served.ask(served.request(batch("known")))
    media = energy.ARROW if is_arrow else "application/json"
    short, long = served.both(body, media=media, encoding=encoding)
    assert short == long
    assert short.status == 202
    assert len(short.json["rejected"]) == (rows + 6) // 7


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_is_packed_badly_or_too_well_is_refused_alike(served: Socketed, encoding: str) -> None:
    bomb = PACKINGS[encoding](bytes(served.context.settings.max_decoded_bytes + 1))
    cut_off = PACKINGS[encoding](batch("cut"))[:-9]
    served.ask(served.request(batch("known")))
    for body, status in ((bomb, 413), (b"no such thing", 400), (cut_off, 400)):
        short, long = served.both(lambda _name, body=body: body, encoding=encoding)  # type: ignore[misc]
        assert short == long
        assert short.status == status


@hypothesis_settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 600), max_size=4), st.lists(st.booleans(), min_size=1, max_size=5))
def test_requests_in_any_pieces_and_one_behind_the_other_are_all_answered_in_order(
    served: Socketed, cuts: list[int], longs: list[bool]
) -> None:
    """Short ones and long ones, without a wait for the answers."""
    served.turn += 1
    names = [f"p{served.turn}-{at}" for at in range(len(longs))]
    whole = b"".join(
        served.request(batch(name), more=LONG if is_long else "")
        for name, is_long in zip(names, longs, strict=True)
    )
    rest = bytearray()
    with served.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
            connection.sendall(whole[start:end])
        answers = [answered(connection, rest) for _ in names]
    assert [answer.json["created_devices"] for answer in answers] == [[f"GPU-{n}"] for n in names]


def test_who_hangs_up_before_the_answer_has_sent_what_was_whole(served: Socketed) -> None:
    with served.connect() as connection:
        connection.sendall(served.request(batch("gone")))
    with served.connect() as connection:
        connection.sendall(served.request(batch("half"))[:-5])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        again = served.ask(served.request(batch("gone")))[0].json
        if again["duplicate"]:
            break
    assert (again["accepted"], again["duplicate"]) == (0, 1)
    assert served.ask(served.request(batch("half")))[0].json["accepted"] == 1


def test_a_delta_of_a_tracker_is_answered_as_the_long_way_does(served: Socketed) -> None:
    told: list[Answer] = []
    now_ms = served.context.clock.now_ms()
    for more, paths in ((LONG, ("/emissions", "/runs")), ("", ("/api/emissions", "/api/runs"))):
        run: dict[str, Any] = {
            "timestamp": to_rfc3339(now_ms),
            "experiment_id": f"e{len(told)}",
            "os": "Linux",
        }
        run |= {"cpu_count": len(told) + 1, "tracking_mode": "machine"}
        (opened,) = served.ask(served.request(json.dumps(run).encode(), paths[1]))
        delta = {"timestamp": to_rfc3339(now_ms), "run_id": opened.json["id"], "duration": 15}
        delta |= {"emissions_sum": 1e-6, "emissions_rate": 1e-7, "cpu_power": 10.0}
        delta |= {"gpu_power": 0.0, "ram_power": 5.0, "cpu_energy": 5e-5, "gpu_energy": 0.0}
        delta |= {"ram_energy": 8e-5, "energy_consumed": 1.3e-4}
        before = len(served.short)
        for body in (delta, delta | {"run_id": "nobody"}, delta | {"duration": 0}):
            told += served.ask(served.request(json.dumps(body).encode(), paths[0], more=more))
        assert len(served.short) - before == (0 if more else 3)
    long, short = told[:3], told[3:]
    assert [one.status for one in short] == [201, 404, 422]
    for one, other in zip(long[1:], short[1:], strict=True):
        assert one.without("") == other.without("")


def test_a_key_may_come_in_the_header_of_trackers(served: Socketed) -> None:
    """As CodeCarbon sends it; its placeholder is none, and goes the long way."""
    before = len(served.short)
    for token, short in ((served.key, 1), ("api_key", 1)):
        body = b"{}"
        more = f"x-api-token: {token}\r\n"
        request = served.request(body, "/emissions", key="x", more=more)
        served.ask(request)
        assert len(served.short) - before == short


def test_an_answer_that_ends_the_connection_says_so(served: Socketed) -> None:
    """As uvicorn asks of a connection when the server ends."""
    protocol = ShortPostProtocol.__new__(ShortPostProtocol)
    written: list[bytes] = []

    class Transport:
        def write(self, data: bytes) -> None:
            written.append(data)

        def close(self) -> None:
            written.append(b"closed")

    protocol.transport = Transport()  # type: ignore[assignment]
    protocol.server_state = type("State", (), {"default_headers": [(b"date", b"now")]})()
    protocol.on_response_complete = lambda: None  # type: ignore[method-assign]
    protocol.send_whole(202, b"content-length: 2\r\n", b"{}", keep_alive=False)
    head, body, end = written[0].partition(b"{}")[0], written[0][-2:], written[-1]
    assert head.startswith(b"HTTP/1.1 202 Accepted\r\ndate: now\r\n")
    assert head.endswith(b"connection: close\r\n\r\n")
    assert (body, end) == (b"{}", b"closed")
