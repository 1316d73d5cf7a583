"""Delivery: everything once the server takes it, in order, and nothing is held up by one batch."""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.clock import FakeClock
from carbon.collect.backoff import Backoff
from carbon.collect.server_address import ServerAddress, find_server
from carbon.collect.spool import Spool
from carbon.collect.spool_db import SpoolDb
from carbon.collect.upload import Uploader
from carbon.wire.energy import EnergyBatch, EnergyInterval, UnitBatch, UnitCount

NOW_MS = 1_700_000_000_000
SERVER = ServerAddress("http://server", "secret")

Handler = Callable[[httpx2.Request], httpx2.Response]


def batch(energy_mj: int = 5, end_ms: int = NOW_MS) -> EnergyBatch:
    interval = EnergyInterval("D", end_ms - 1000, end_ms, energy_mj, "counter")
    return EnergyBatch("agent", "boot", 0, [interval])


def body_of(request: httpx2.Request) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(gzip.decompress(request.content))
    return decoded


def ok(rejected: int = 0) -> httpx2.Response:
    wrong = [{"index": i, "code": "from_the_future", "detail": ""} for i in range(rejected)]
    answer = {"accepted": 1, "duplicate": 0, "conflict": 0, "rejected": wrong}
    return httpx2.Response(202, json=answer)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(SpoolDb(tmp_path / "spool.db"))
    yield spool
    spool.db.close()


def uploader(spool: Spool, handler: Handler) -> Uploader:
    return Uploader(
        spool, lambda: SERVER, FakeClock(NOW_MS), transport=httpx2.MockTransport(handler)
    )


def test_all_is_sent_in_order_with_key_and_number(spool: Spool) -> None:
    requests: list[httpx2.Request] = []

    def server(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return ok()

    for energy_mj in (1, 2):
        spool.append_energy(batch(energy_mj))
    spool.append_units(UnitBatch([UnitCount("w", "token", "s", 0, 1, 3)]))
    upload = uploader(spool, server)
    assert upload.deliver_pending()
    assert [r.url.path for r in requests] == ["/v1/energy", "/v1/energy", "/v1/units"]
    assert {r.headers["Authorization"] for r in requests} == {"Bearer secret"}
    assert [body_of(r).get("seq") for r in requests] == [1, 2, None]
    assert body_of(requests[0])["sent_ms"] == NOW_MS
    assert [body_of(r).get("spooled") for r in requests] == [2, 1, None]
    assert spool.depth == 0
    assert (upload.last_upload_ms, upload.last_error) == (NOW_MS, None)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 507, 302])
def test_what_may_pass_is_tried_again(spool: Spool, status: int) -> None:
    spool.append_energy(batch())
    upload = uploader(spool, lambda _: httpx2.Response(status, text="later"))
    assert not upload.deliver_pending()
    assert spool.depth == 1
    assert str(status) in (upload.last_error or "")


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_batch_that_is_refused_is_set_aside_and_blocks_nothing(spool: Spool, status: int) -> None:
    def server(request: httpx2.Request) -> httpx2.Response:
        is_poison = body_of(request)["intervals"][0]["energy_mj"] == 666
        return httpx2.Response(status, text="cannot be meant") if is_poison else ok()

    for energy_mj in (1, 666, 2):
        spool.append_energy(batch(energy_mj))
    assert uploader(spool, server).deliver_pending()
    assert spool.depth == 0
    assert spool.refused == [(2, status, "cannot be meant")]


def test_what_is_rejected_inside_a_good_answer_is_kept(spool: Spool) -> None:
    spool.append_energy(batch())
    assert uploader(spool, lambda _: ok(rejected=1)).deliver_pending()
    assert spool.depth == 0
    assert [(seq, status) for seq, status, _ in spool.refused] == [(1, 202)]
    assert "from_the_future" in spool.refused[0][2]


def test_a_broken_connection_is_tried_again(spool: Spool) -> None:
    def server(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    spool.append_energy(batch())
    upload = uploader(spool, server)
    assert not upload.deliver_pending()
    assert upload.last_error == "http://server: refused"
    assert spool.depth == 1


def test_without_a_server_all_waits(spool: Spool) -> None:
    spool.append_energy(batch())
    upload = Uploader(spool, lambda: None, FakeClock(NOW_MS))
    assert not upload.deliver_pending()
    assert "carbon up" in (upload.last_error or "")


def test_time_stamps_ahead_of_the_clock_wait_until_the_server_would_take_them(
    spool: Spool,
) -> None:
    spool.append_energy(batch(end_ms=NOW_MS + 600_000))
    upload = uploader(spool, lambda _: ok())
    assert upload.deliver_pending()
    assert spool.depth == 1
    assert isinstance(upload.clock, FakeClock)
    upload.clock.advance(500)
    assert upload.deliver_pending()
    assert spool.depth == 0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["take", "take_and_drop", "fail"]), max_size=30))
def test_nothing_is_lost_and_repeats_are_the_same_batch(outcomes: list[str]) -> None:
    """A server that fails, or takes a batch and loses the answer on the way."""
    taken: list[tuple[int, int]] = []
    script = iter(outcomes)

    def server(request: httpx2.Request) -> httpx2.Response:
        outcome = next(script, "take")
        if outcome == "fail":
            raise httpx2.ConnectError("down")
        body = body_of(request)
        taken.append((body["seq"], body["intervals"][0]["energy_mj"]))
        if outcome == "take_and_drop":
            raise httpx2.ReadTimeout("gone")
        return ok()

    with TemporaryDirectory() as folder:
        spool = Spool(SpoolDb(Path(folder) / "spool.db"))
        expected = [(spool.append_energy(batch(energy_mj)), energy_mj) for energy_mj in range(5)]
        upload = uploader(spool, server)
        for _ in range(len(outcomes) + 1):
            upload.deliver_pending()
        assert spool.depth == 0
        spool.db.close()
    assert sorted(set(taken)) == expected


def test_the_thread_delivers_what_comes_and_flush_waits_for_it(spool: Spool) -> None:
    upload = uploader(spool, lambda _: ok())
    spool.on_append = upload.wake
    thread = threading.Thread(target=upload.run)
    thread.start()
    for energy_mj in range(20):
        spool.append_energy(batch(energy_mj))
    assert upload.flush(10) == 0
    upload.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_flush_ends_with_the_first_failure_and_says_what_is_left(spool: Spool) -> None:
    upload = uploader(spool, lambda _: httpx2.Response(503))
    thread = threading.Thread(target=upload.run)
    spool.append_energy(batch())
    thread.start()
    assert upload.flush(60) == 1
    upload.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_flush_leaves_a_server_alone_that_asked_for_it(spool: Spool) -> None:
    asked: list[httpx2.Request] = []

    def server(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(429, headers={"Retry-After": "3600"})

    upload = uploader(spool, server)
    spool.append_energy(batch())
    thread = threading.Thread(target=upload.run)
    thread.start()
    upload.flush(60)
    assert upload.flush(60) == 1
    assert len(asked) == 1
    upload.stop()
    thread.join(10)


@given(st.integers(0, 40), st.none() | st.floats(0, 600), st.integers())
def test_waits_double_to_a_minute_and_never_undercut_what_was_asked(
    failures: int, asked_s: float | None, seed: int
) -> None:
    backoff = Backoff(_random=random.Random(seed))
    for _ in range(failures):
        backoff.failed()
    ceiling_s = min(60.0, 2.0**failures)
    wait_s = backoff.failed(asked_s)
    assert max(1.0, ceiling_s / 2, asked_s or 0.0) <= wait_s
    assert wait_s <= max(1.0, ceiling_s, asked_s or 0.0)
    backoff.succeeded()
    assert backoff.failed() == 1.0


def test_the_servers_address_is_what_was_said_or_what_carbon_up_left(tmp_path: Path) -> None:
    assert find_server(tmp_path) is None
    (tmp_path / "server.json").write_text(
        json.dumps({"url": "http://127.0.0.1:8000/", "agent_key": "a", "admin_key": "b"})
    )
    assert find_server(tmp_path) == ServerAddress("http://127.0.0.1:8000", "a")
    assert find_server(tmp_path, key_name="admin_key") == ServerAddress(
        "http://127.0.0.1:8000", "b"
    )
    assert find_server(tmp_path, key="k") == ServerAddress("http://127.0.0.1:8000", "k")


def test_a_foreign_server_never_gets_the_local_key(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://here", "agent_key": "a"}))
    assert find_server(tmp_path, url="http://there/") == ServerAddress("http://there", None)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"agent_key": "a"}'])
def test_an_address_file_that_is_being_written_is_no_address(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)
    assert find_server(tmp_path) is None
