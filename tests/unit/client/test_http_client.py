"""The /v1 client: the calls as the contract writes them, the server's errors as our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from carbon.client.http import Client
from carbon.errors import (
    CarbonError,
    Forbidden,
    InvalidInput,
    MalformedInput,
    NotFound,
    TooBusy,
    Unauthorized,
    Unavailable,
)
from carbon.wire.energy import EnergyBatch, EnergyInterval, UnitCount

INGESTED = {"accepted": 1, "duplicate": 0, "conflict": 0, "rejected": []}


class Server:
    def __init__(self, status: int = 200, answer: object = None, **headers: str) -> None:
        self.status, self.body, self.headers = status, answer, headers
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return httpx2.Response(self.status, json=self.body or {}, headers=self.headers)

    def client(self) -> Client:
        return Client("http://server/", "key", transport=httpx2.MockTransport(self))

    @property
    def last(self) -> tuple[str, str, Any]:
        request = self.requests[-1]
        body = json.loads(request.content) if request.content else None
        return request.method, request.url.raw_path.decode(), body


def test_energy_and_units_are_posted_as_they_are() -> None:
    server = Server(202, INGESTED)
    batch = EnergyBatch("s", "b", 1, [EnergyInterval("D", 0, 1, 5, "counter")])
    assert server.client().send_energy(batch).accepted == 1
    method, path, body = server.last
    assert (method, path, body["intervals"][0]["energy_mj"]) == ("POST", "/v1/energy", 5)
    server.client().send_units([UnitCount("w", "token", "s", 0, 1, 9)])
    assert server.last[1:] == (
        "/v1/units",
        {
            "units": [
                {
                    "workload": "w",
                    "unit": "token",
                    "source": "s",
                    "start_ms": 0,
                    "end_ms": 1,
                    "count": 9,
                }
            ]
        },
    )
    assert server.requests[0].headers["Authorization"] == "Bearer key"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            lambda c: c.sci("t/w", unit="token", start=None),
            ("GET", "/v1/workloads/t/w/sci?unit=token"),
        ),
        (
            lambda c: c.sci_series(group_by=["team", "zone"]),
            ("GET", "/v1/sci?group_by=team%2Czone"),
        ),
        (lambda c: c.workloads(), ("GET", "/v1/workloads")),
        (lambda c: c.change_workload("w", persona="provider"), ("PATCH", "/v1/workloads/w")),
        (lambda c: c.calculate([{"name": "a"}]), ("POST", "/v1/sci/calculate")),
        (lambda c: c.intensity("DE"), ("GET", "/v1/intensity/DE")),
        (lambda c: c.forecast("DE", hours=1), ("GET", "/v1/intensity/DE/forecast?hours=1")),
        (lambda c: c.job("j1"), ("GET", "/v1/jobs/j1")),
        (lambda c: c.cancel_job("j1"), ("DELETE", "/v1/jobs/j1")),
        (lambda c: c.start_job("j1"), ("POST", "/v1/jobs/j1/start")),
        (lambda c: c.explain_report("r1"), ("GET", "/v1/reports/r1/explain")),
    ],
)
def test_a_call_is_where_the_contract_has_it(call: Any, expected: tuple[str, str]) -> None:
    server = Server()
    call(server.client())
    assert server.last[:2] == expected


def test_a_job_carries_its_idempotency_key() -> None:
    server = Server(201, {"id": "j1"})
    assert server.client().submit_job({"name": "n"}, "once") == {"id": "j1"}
    assert server.requests[0].headers["Idempotency-Key"] == "once"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, MalformedInput),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (422, InvalidInput),
        (429, TooBusy),
        (503, Unavailable),
        (500, CarbonError),
    ],
)
def test_a_problem_is_the_error_that_it_was(status: int, kind: type[CarbonError]) -> None:
    server = Server(status, {"code": "c", "detail": "mend it", "status": status, "near": ["DE"]})
    with pytest.raises(kind) as caught:
        server.client().hosts()
    error = caught.value
    assert (type(error), error.code, error.detail) == (kind, "c", "mend it")
    assert error.extra["near"] == ["DE"]


def test_the_time_to_wait_is_told() -> None:
    with pytest.raises(TooBusy) as caught:
        Server(429, {"code": "c", "detail": "d"}, **{"Retry-After": "7"}).client().hosts()
    assert caught.value.retry_after_s == 7


def test_an_answer_that_is_no_problem_document_is_an_error_all_the_same() -> None:
    def proxy(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(502, text="<html>bad gateway</html>")

    client = Client("http://server", transport=httpx2.MockTransport(proxy))
    with pytest.raises(CarbonError, match="502"):
        client.hosts()


def test_a_server_that_is_not_there_is_unavailable_with_a_mend() -> None:
    def nobody(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    client = Client("http://server", transport=httpx2.MockTransport(nobody))
    with pytest.raises(Unavailable, match="carbon up"):
        client.hosts()
    assert not client.is_ready()


def test_address_and_key_are_found_where_carbon_up_left_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CARBON_URL", raising=False)
    monkeypatch.delenv("CARBON_KEY", raising=False)
    with pytest.raises(Unavailable, match="carbon up"):
        Client(data_dir=tmp_path)
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://here", "admin_key": "k"}))
    with Client(data_dir=tmp_path) as client:
        assert client.url == "http://here"
    monkeypatch.setenv("CARBON_URL", "http://there")
    with Client(data_dir=tmp_path) as client:
        assert client.url == "http://there"


@pytest.mark.parametrize(
    ("fault", "code"),
    [(httpx2.ReadTimeout, "answer_late"), (httpx2.ConnectTimeout, "server_unreachable")],
)
def test_a_server_that_is_summing_up_is_not_called_dead(
    fault: type[httpx2.TransportError], code: str
) -> None:
    def late(request: httpx2.Request) -> httpx2.Response:
        raise fault("timed out", request=request)

    client = Client("http://server/", "key", transport=httpx2.MockTransport(late))
    with pytest.raises(Unavailable) as caught:
        client.reports()
    assert caught.value.code == code
    assert ("carbon up" in caught.value.detail) == (code == "server_unreachable")
