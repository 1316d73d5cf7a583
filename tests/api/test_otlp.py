"""POST /v1/metrics: OTLP/HTTP, as the protocol says and as the real SDK sends it."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from fastapi.testclient import TestClient
from google.protobuf.json_format import ParseDict
from httpx2 import Response
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from service import Service, T

from carbon.clock import SystemClock
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.context import Context

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}
HOST = {"host.name": "n1", "service.namespace": "search", "service.name": "chat"}


def attributes(labels: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": k, "value": {"stringValue": v}} for k, v in labels.items()]


def point(at_ms: int, value: float, since_ms: int = 0, **labels: str) -> dict[str, Any]:
    made: dict[str, Any] = {"timeUnixNano": str(at_ms * 1_000_000), "asDouble": value}
    if since_ms:
        made["startTimeUnixNano"] = str(since_ms * 1_000_000)
    return {**made, "attributes": attributes({k.replace("__", "."): v for k, v in labels.items()})}


def total(name: str, *points: dict[str, Any], delta: bool = False) -> dict[str, Any]:
    temporality = 1 if delta else 2
    data = {"dataPoints": list(points), "aggregationTemporality": temporality, "isMonotonic": True}
    return {"name": name, "sum": data}


def gauge(name: str, *points: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "gauge": {"dataPoints": list(points)}}


def tokens(at_ms: int, since_ms: int, count: float) -> dict[str, Any]:
    made = point(at_ms, 0, since_ms, gen_ai__token__type="output")
    del made["asDouble"]
    made |= {"count": "3", "sum": count, "bucketCounts": ["3"], "explicitBounds": []}
    data = {"dataPoints": [made], "aggregationTemporality": 2}
    return {"name": "gen_ai.client.token.usage", "histogram": data}


def request(*metrics: dict[str, Any], labels: dict[str, str] = HOST) -> dict[str, Any]:
    scope = {"metrics": list(metrics)}
    resource = {"attributes": attributes(labels)}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}


def post(client: TestClient, body: dict[str, Any]) -> Response:
    sent = ParseDict(body, ExportMetricsServiceRequest()).SerializeToString()
    return client.post("/v1/metrics", content=sent, headers=PROTOBUF)


def chat(client: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/workloads/search/chat/sci").json()
    return answer


GPU = {"hw__id": "GPU-1", "hw__type": "gpu"}
ENERGY = total("hw.energy", point(T, 1e6, **GPU), point(T + 60_000, 1e6 + 18_000, **GPU))


def test_a_cumulative_energy_is_its_rise(admin: TestClient) -> None:
    answer = post(admin, request(ENERGY))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-protobuf")
    told = ExportMetricsServiceResponse.FromString(answer.content)
    assert "late" in told.partial_success.error_message  # the test's readings are hours old
    assert (chat(admin)["energy_mj"], chat(admin)["methods"]) == (18_000_000, {"counter": 1.0})


def test_json_is_answered_in_json(admin: TestClient) -> None:
    answer = admin.post("/v1/metrics", content=json.dumps(request(ENERGY)), headers=JSON)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert "partialSuccess" in answer.json()
    assert chat(admin)["energy_mj"] == 18_000_000


def test_deltas_are_taken_as_they_are_and_once(admin: TestClient) -> None:
    deltas = total("hw.energy", point(T + 60_000, 18_000, T, **GPU), delta=True)
    for _ in range(2):
        post(admin, request(deltas))
    assert chat(admin)["energy_mj"] == 18_000_000


def test_power_is_integrated(admin: TestClient) -> None:
    power = gauge("hw.power", point(T, 300, **GPU), point(T + 60_000, 300, **GPU))
    post(admin, request(power))
    assert (chat(admin)["energy_mj"], chat(admin)["methods"]) == (18_000_000, {"averaged": 1.0})


def test_tokens_count_from_the_moment_the_total_began(admin: TestClient) -> None:
    post(admin, request(ENERGY, tokens(T + 30_000, T, 100.0)))
    post(admin, request(tokens(T + 60_000, T, 250.0)))
    post(admin, request(tokens(T + 60_000, T, 250.0)))
    assert (chat(admin)["unit"], chat(admin)["count"]) == ("token", 250)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff", PROTOBUF, 400),
        (b"{", JSON, 400),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"x", {**PROTOBUF, "Content-Encoding": "br"}, 415),
        (b"x", {**PROTOBUF, "Authorization": "Bearer ck_no"}, 401),
    ],
)
def test_errors_are_a_status_in_the_bodys_own_format(
    admin: TestClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = admin.post("/v1/metrics", content=body, headers=headers)
    assert answer.status_code == status
    if headers["Content-Type"] == JSON["Content-Type"]:
        assert answer.json()["message"]
    else:
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert b"\x12" in answer.content  # field 2, the message


def test_a_metric_without_its_device_is_told(admin: TestClient) -> None:
    nameless = total("hw.energy", point(T, 1e6), point(T + 60_000, 2e6))
    post(admin, request(nameless, labels={}))
    told = admin.get("/v1/quality").json()["troubles"]
    assert ("otlp", "label_missing") in {(line["source"], line["code"]) for line in told}


@pytest.fixture
def address(context: Context) -> Iterator[tuple[str, str, Service]]:
    """The service on a real socket, with a real clock: (url, key, service)."""
    real = Context(context.engine, context.settings, SystemClock())
    with Service.of(real) as service:
        config = uvicorn.Config(service.app, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        key, _ = service.key("default", ADMIN_SCOPES)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", key, service
        server.should_exit = True
        thread.join()
        listener.close()


def test_the_real_sdk_sends_energy_and_tokens(address: tuple[str, str, Service]) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the OpenTelemetry SDK is not installed")
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    url, key, service = address
    headers = {"Authorization": f"Bearer {key}"}
    exporter = OTLPMetricExporter(f"{url}/v1/metrics", headers=headers)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], resource=Resource.create(dict(HOST)))
    meter = provider.get_meter("test")
    energy = meter.create_counter("hw.energy", "J")
    usage = meter.create_histogram("gen_ai.client.token.usage", "{token}")
    gpu = {"hw.id": "GPU-1", "hw.type": "gpu"}
    time.sleep(0.02)
    energy.add(1.0, gpu)
    usage.record(10, {"gen_ai.token.type": "output"})
    assert provider.force_flush()
    time.sleep(0.3)
    energy.add(20.0, gpu)
    usage.record(32, {"gen_ai.token.type": "output"})
    usage.record(500, {"gen_ai.token.type": "input"})
    assert provider.force_flush()
    provider.shutdown()
    answer = service.admin.get("/v1/workloads/search/chat/sci", params={"unit": "token"}).json()
    assert answer["energy_mj"] == 21_000
    assert answer["count"] + answer["count_set_aside"] == 42
