"""The ways by which a scripted week comes in, each into a ledger of its own behind HTTP."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from carbon.app import open_context
from carbon.bench.imports.scripted_prometheus import ScriptedPrometheus
from carbon.bench.imports.week import DCGM, STEP_MS, Gpu, scrapes
from carbon.bench.serving import Service
from carbon.client import Client
from carbon.client.prometheus_history import PrometheusHistory, Window
from carbon.clock import SystemClock
from carbon.errors import Unavailable
from carbon.imports.mapping import load_mapping
from carbon.imports.prometheus_api import PrometheusApi
from carbon.imports.remote_write import write_remote_write
from carbon.imports.series import Series
from carbon.services.context import Context
from carbon.services.ingest.importing import Importing
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.scraping import Scraping, Target
from carbon.services.ingest.units import UnitIngest
from carbon.services.ingest.writer import Writer
from carbon.settings import Settings

_AT_ONCE = 200


def by_remote_write(running: Service, week: list[Gpu]) -> None:
    """Every body twice, as after a time-out."""
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    with running.client() as http:
        for first in range(0, max(len(gpu.readings) for gpu in week), _AT_ONCE):
            series = [_part(gpu.series(), first) for gpu in week]
            body = write_remote_write([each for each in series if each.samples])
            for _ in range(2):
                http.post("/api/v1/write", content=body, headers=headers).raise_for_status()


def _part(series: Series, first: int) -> Series:
    return Series(series.labels, series.samples[first : first + _AT_ONCE])


def by_otlp(running: Service, week: list[Gpu]) -> None:
    with running.client() as http:
        for first in range(0, max(len(gpu.readings) for gpu in week), _AT_ONCE):
            request = ExportMetricsServiceRequest()
            for gpu in week:
                _add_totals(request, gpu, first)
            headers = {"Content-Type": "application/x-protobuf"}
            body = request.SerializeToString()
            http.post("/v1/metrics", content=body, headers=headers).raise_for_status()


def _add_totals(request: ExportMetricsServiceRequest, gpu: Gpu, first: int) -> None:
    made = request.resource_metrics.add()
    namespace, name = gpu.workload.split("/")
    labels = {"host.name": gpu.host, "service.namespace": namespace, "service.name": name}
    for key, value in labels.items():
        made.resource.attributes.add(key=key).value.string_value = value
    metric = made.scope_metrics.add().metrics.add(name="hw.energy")
    metric.sum.aggregation_temporality = 2
    for at_ms, mj in gpu.readings[first : first + _AT_ONCE]:
        point = metric.sum.data_points.add(time_unix_nano=at_ms * 1_000_000, as_double=mj / 1000)
        point.attributes.add(key="hw.id").value.string_value = gpu.uuid
        point.attributes.add(key="hw.type").value.string_value = "gpu"


def by_scrape(folder: Path, week: list[Gpu]) -> None:
    """Into the database of a service that will be started on the folder; exporters state the
    time of each reading, since nobody waits a week."""
    pages = iter(_pages(week))
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, text=next(pages)))
    with _importing(folder) as (context, importing):
        scraping = Scraping(context, importing, transport)
        target = Target("http://exporter:9400/metrics")
        for _ in scrapes(week):
            scraping.scrape(target)
        scraping.stop()


def _pages(week: list[Gpu]) -> Iterator[str]:
    for at_ms, counters in scrapes(week):
        lines = []
        for gpu, mj in counters:
            pod = f'exported_namespace="prod",exported_pod="{gpu.uuid.lower()}-0"'
            labels = f'UUID="{gpu.uuid}",Hostname="{gpu.host}",{pod}'
            lines.append(f"{DCGM}{{{labels}}} {mj} {at_ms}")
        yield "\n".join(lines) + "\n"


@contextmanager
def _importing(folder: Path) -> Iterator[tuple[Context, Importing]]:
    context = open_context(Settings(data_dir=folder, feeds=False), SystemClock())
    writer = Writer(context)
    writer.start()
    ingest, units = Ingest(context, writer), UnitIngest(context, writer)
    try:
        yield context, Importing(context, writer, ingest, units)
    finally:
        writer.stop()
        context.engine.dispose()


def by_history(running: Service, week: list[Gpu], stops_at: int | None = None) -> None:
    """With `stops_at`, the Prometheus goes away at that question and the import is begun anew."""
    double = ScriptedPrometheus([gpu.series() for gpu in week])
    times = [at_ms for gpu in week for at_ms, _ in gpu.readings]
    window = Window(min(times) - STEP_MS, max(times) + STEP_MS, STEP_MS)
    with tempfile.TemporaryDirectory() as folder, Client(running.url, running.key) as client:
        api = PrometheusApi("http://prometheus:9090", transport=double.transport())
        file = Path(folder) / "progress.json"
        history = PrometheusHistory(api, client, load_mapping(), window, file)
        if stops_at is not None:
            double.away_from = stops_at
            with suppress(Unavailable):
                history.run()
            double.away_from = None
            history = PrometheusHistory(api, client, load_mapping(), window, file)
        history.run()
