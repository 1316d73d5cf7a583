"""Metrics as exporters name them, and bodies as Prometheus and OpenTelemetry send them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.testclient import TestClient
from httpx2 import Response

from carbon.imports.remote_write import write_remote_write
from carbon.imports.series import NAME_LABEL, Sample, Series

DCGM = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
DCGM_POWER = "DCGM_FI_DEV_POWER_USAGE"
TOKENS = "vllm:generation_tokens_total"

REMOTE_WRITE = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


def prometheus(name: str, labels: dict[str, str], samples: Sequence[tuple[int, float]]) -> Series:
    return Series({NAME_LABEL: name, **labels}, [Sample(*sample) for sample in samples])


def a_pod(name: str, namespace: str = "prod") -> dict[str, str]:
    """The labels of a pod on whose behalf dcgm-exporter speaks."""
    return {"exported_namespace": namespace, "exported_pod": name}


def written(client: TestClient, *series: Series, **headers: str) -> Response:
    body = write_remote_write(list(series))
    return client.post("/api/v1/write", content=body, headers={**REMOTE_WRITE, **headers})
