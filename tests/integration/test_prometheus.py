"""A real Prometheus: it scrapes scripted exporters, sends on by remote write, and is asked for its
history by query_range. Both ways give the ledger what the counters say."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from carbon.bench.serving import Service, free_port, service
from carbon.client import Client
from carbon.client.prometheus_history import PrometheusHistory, Result, Window
from carbon.imports.mapping import load_mapping
from carbon.imports.prometheus_api import PrometheusApi

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("prometheus") is None, reason="no prometheus binary (Debian: prometheus)"
    ),
]

WATTS = (400, 250)
TOKENS_PER_S = 120


class Exporters:
    """dcgm-exporter and vLLM in one: counters that follow the clock, and their traps."""

    def __init__(self) -> None:
        self._began = time.time()
        self._asked = 0
        self.is_away = False

    def page(self) -> str | None:
        """None for a scrape that is missing."""
        self._asked += 1
        if self.is_away or self._asked % 7 == 0:
            return None
        elapsed = time.time() - self._began
        lines = []
        for n, watts in enumerate(WATTS):
            mj = 1_000_000_000 + round(watts * elapsed * 1000)
            for pod in ("chat-0", "search-0") if n == 1 else ("chat-0",):  # time-sliced
                labels = (
                    f'UUID="GPU-{n}",Hostname="n1",exported_namespace="prod",exported_pod="{pod}"'
                )
                lines.append(f"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}}} {mj}")
                lines.append(f"DCGM_FI_DEV_POWER_USAGE{{{labels}}} 9223372036854775794")
        tokens = 77 + int(TOKENS_PER_S * elapsed)
        pod = 'exported_namespace="prod",exported_pod="x",namespace="prod",pod="chat-0"'
        lines.append(f'vllm:generation_tokens_total{{model_name="m",{pod}}} {tokens}')
        return "\n".join(lines) + "\n"


@contextmanager
def exporters() -> Iterator[tuple[Exporters, int]]:
    script = Exporters()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = script.page()
            self.send_response(503 if page is None else 200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write((page or "").encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield script, server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def prometheus(folder: Path, exporter: int, carbon: Service) -> Iterator[str]:
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [
            {
                "job_name": "gpus",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{exporter}"]}],
            }
        ],
        "remote_write": [
            {
                "url": f"{carbon.url}/api/v1/write",
                "authorization": {"credentials": carbon.key},
                "queue_config": {"batch_send_deadline": "500ms", "min_shards": 2},
            }
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(config))  # YAML holds JSON
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=(folder / "prometheus.log").open("wb"),
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


def first_and_last(url: str, metric: str) -> list[tuple[float, float]]:
    """Of each series the first and last raw value, as Prometheus stored them."""
    query = {"query": f"{metric}[10m]"}
    rows = httpx2.get(f"{url}/api/v1/query", params=query).json()["data"]["result"]
    return [(float(row["values"][0][1]), float(row["values"][-1][1])) for row in rows]


def energy(carbon: Service, workload: str) -> int:
    with carbon.client() as http:
        answer = http.get(f"/v1/workloads/{workload}/sci", params={"unit": "run"})
    return int(answer.json().get("energy_mj") or 0)


def tokens(carbon: Service) -> int:
    with carbon.client() as http:
        answer = http.get("/v1/workloads/prod/chat/sci", params={"unit": "token"}).json()
    return int((answer.get("count") or 0) + (answer.get("count_set_aside") or 0))


def by_gpu(url: str) -> dict[str, int]:
    query = {"query": "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION[10m]"}
    rows = httpx2.get(f"{url}/api/v1/query", params=query).json()["data"]["result"]
    spans = {row["metric"]["UUID"]: row["values"] for row in rows}
    return {gpu: int(float(v[-1][1]) - float(v[0][1])) for gpu, v in spans.items()}


def test_remote_write_and_history_say_what_the_counters_say(tmp_path: Path) -> None:
    began_ms = round(time.time() * 1000) - 5_000
    with (
        service() as live,
        service() as later,
        exporters() as (script, port),
        prometheus(tmp_path, port, live) as url,
    ):
        time.sleep(14)
        script.is_away = True  # nothing moves while both ways are compared
        time.sleep(2)
        gpus = by_gpu(url)
        [(first, last)] = first_and_last(url, "vllm:generation_tokens_total")
        assert sum(gpus.values()) > 5_000_000
        wait_for(live, sum(gpus.values()))
        odd_mj = abs(energy(live, "prod/search") - gpus["GPU-1"] / 2)
        assert odd_mj <= 20  # at most one an interval
        assert tokens(live) == last - first
        result = backfilled(url, later, tmp_path, began_ms, round(time.time() * 1000))
    assert result.is_exact
    assert {t.code for t in result.troubles} == {"sentinel"}


def wait_for(carbon: Service, whole_mj: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and energies(carbon) != whole_mj:
        time.sleep(0.5)
    assert energies(carbon) == whole_mj


def energies(carbon: Service) -> int:
    return energy(carbon, "prod/chat") + energy(carbon, "prod/search")


def backfilled(url: str, carbon: Service, folder: Path, since_ms: int, until_ms: int) -> Result:
    """Into another ledger, which then says the same."""
    with Client(carbon.url, carbon.key) as client:
        window = Window(since_ms, until_ms, 1_000)
        file = folder / "progress.json"
        api = PrometheusApi(url)
        result = PrometheusHistory(api, client, load_mapping(), window, file).run()
    [(first, last)] = first_and_last(url, "vllm:generation_tokens_total")
    assert energies(carbon) == sum(by_gpu(url).values())
    assert tokens(carbon) == last - first
    return result
