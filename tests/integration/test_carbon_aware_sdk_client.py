"""A generated client of the Carbon Aware SDK, unchanged, pointed at this service.

Its own published client is a NuGet package and an npm one that no registry holds any more; this
one is made by `openapi-python-client` from the SDK's shapes, in an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration.carbon_aware_sdk_openapi import DOCUMENT

from carbon.bench.serving import Service, service
from carbon.clock import SystemClock, to_rfc3339
from carbon.domain.units import MS_PER_HOUR, floor_to

GENERATOR = "openapi-python-client>=0.26,<1"

#: Speaks only the generated client; prints what its typed models read.
ASKED = """
import json, sys
from datetime import datetime, timedelta, timezone
from carbon_aware_api_client import Client
from carbon_aware_api_client.api.carbon_aware import (
    batch_forecast_data_async, get_all_locations, get_average_carbon_intensity,
    get_average_carbon_intensity_batch, get_best_emissions_data_for_locations_by_time,
    get_current_forecast_data, get_emissions_data_for_location_by_time,
    get_emissions_data_for_locations_by_time)
from carbon_aware_api_client.models import (
    CarbonIntensityBatchParametersDTO, EmissionsForecastBatchParametersDTO)

url, now = sys.argv[1], datetime.fromisoformat(sys.argv[2])
client = Client(base_url=url, raise_on_unexpected_status=True)
back, hour = now - timedelta(hours=3), timedelta(hours=1)
told = {}
one = get_emissions_data_for_location_by_time.sync(
    client=client, location="DE", time=back, to_time=now)
told["one"] = [[p.location, p.time.isoformat(), p.rating, p.duration] for p in one]
both = get_emissions_data_for_locations_by_time.sync(
    client=client, location=["DE", "FR"], time=back, to_time=now)
told["both"] = sorted({p.location for p in both})
best = get_best_emissions_data_for_locations_by_time.sync(
    client=client, location=["DE", "FR"], time=back, to_time=now)
told["best"] = [[p.location, p.rating] for p in best]
[ahead] = get_current_forecast_data.sync(client=client, location=["DE"], window_size=120)
told["ahead"] = [p.value for p in ahead.forecast_data]
told["optimal"] = [p.value for p in ahead.optimal_data_points]
told["duration"] = ahead.optimal_data_points[0].duration
[batched] = batch_forecast_data_async.sync(client=client, body=[
    EmissionsForecastBatchParametersDTO(
        requested_at=datetime.now(timezone.utc), location="DE", window_size=60)])
told["batched"] = batched.location
mean = get_average_carbon_intensity.sync(
    client=client, location="DE", start_time=back, end_time=now)
told["mean"] = mean.carbon_intensity
means = get_average_carbon_intensity_batch.sync(client=client, body=[
    CarbonIntensityBatchParametersDTO(location="DE", start_time=back, end_time=now)])
told["means"] = [m.carbon_intensity for m in means]
told["region"] = get_all_locations.sync(client=client)["eastus"].name
told["unknown"] = get_emissions_data_for_location_by_time.sync_detailed(
    client=client, location="Atlantis").status_code
nothing = get_current_forecast_data.sync_detailed(
    client=client, location=["DE"], data_start_at=now + timedelta(days=30))
told["outside"] = nothing.status_code
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that knows the generated client. Skips where the registry cannot be reached."""
    folder = tmp_path_factory.mktemp("carbon-aware-sdk")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True, timeout=300)
    programs = folder / "venv" / "bin"
    install = [programs / "python", "-m", "pip", "install", "-q", GENERATOR]
    done = subprocess.run(install, capture_output=True, text=True, timeout=900)
    if done.returncode:
        pytest.skip(f"{GENERATOR} cannot be installed: {done.stderr.strip()[-200:]}")
    document = folder / "openapi.json"
    document.write_text(json.dumps(DOCUMENT))
    generate = [programs / "openapi-python-client", "generate", "--path", document]
    generate += ["--meta", "none", "--output-path", folder / "carbon_aware_api_client"]
    made = subprocess.run(generate, capture_output=True, text=True, timeout=300, cwd=folder)
    assert made.returncode == 0, made.stdout + made.stderr
    return programs / "python"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with service() as made:
        yield made


def publish(running: Service, zone: str, values: list[float]) -> int:
    """Hours from three ago on; answers the hour that runs."""
    now_ms = floor_to(SystemClock().now_ms(), MS_PER_HOUR)
    first_ms = now_ms - 3 * MS_PER_HOUR
    points = [
        {"start_ms": at_ms, "end_ms": at_ms + MS_PER_HOUR, "g_per_kwh": value}
        for at_ms, value in zip(range(first_ms, 2**60, MS_PER_HOUR), values, strict=False)
    ]
    body = {"source": "meter", "published_at": to_rfc3339(now_ms), "points": points}
    with running.client() as client:
        client.post(f"/v1/intensity/{zone}", json=body).raise_for_status()
    return now_ms


@pytest.mark.slow
def test_a_generated_client_reads_every_answer(python: Path, running: Service) -> None:
    publish(running, "FR", [60.0, 50.0, 55.0])
    ahead = [300.0, 200.0, 100.0, 100.0, 250.0, *[400.0] * 20]
    now_ms = publish(running, "DE", [90.0, 80.0, 70.0, *ahead])
    told = asked(python, running, now_ms)
    assert [rating for _, _, rating, _ in told["one"]] == [90.0, 80.0, 70.0]
    assert {duration for *_, duration in told["one"]} == {"01:00:00"}
    assert told["both"] == ["DE", "FR"]
    assert told["best"] == [["FR", 50.0]]
    assert told["optimal"] == [100.0]
    assert told["duration"] == 120
    assert min(told["ahead"]) == 100.0
    assert told["batched"] == "DE"
    assert told["mean"] == pytest.approx(80.0)
    assert told["means"] == [pytest.approx(80.0)]
    assert told["region"] == "eastus"
    assert told["unknown"] == 400
    assert told["outside"] == 400


def asked(python: Path, running: Service, now_ms: int) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-c", ASKED, running.url, to_rfc3339(now_ms)],
        cwd=python.parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
