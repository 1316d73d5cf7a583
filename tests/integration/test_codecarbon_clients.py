"""Unmodified trackers of CodeCarbon, each version from the registry in an environment of its own,
pointed here by nothing but its environment variables."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from carbon.bench.serving import Service, service

#: The oldest that is promised, the first of 3 and the newest.
VERSIONS = ["2.8.*", "3.0.*", "3.*"]

TRACKED = """
import time
from codecarbon import EmissionsTracker
tracker = EmissionsTracker(measure_power_secs=1, api_call_interval=2, save_to_file=False,
                           log_level="error", allow_multiple_runs=True, {options})
tracker.start()
until = time.monotonic() + 6
while time.monotonic() < until:
    sum(range(10_000))
tracker.stop()
print(tracker.final_emissions_data.energy_consumed)
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with service() as made:
        yield made


def environment_of(version: str, folder: Path) -> Path:
    """Its Python. Skips where the registry cannot be reached."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    command = [python, "-m", "pip", "install", "-q", f"codecarbon=={version}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"codecarbon {version} cannot be installed: {done.stderr.strip()[-200:]}")
    return python


def track(python: Path, options: str, folder: Path, **environment: str) -> float:
    """kWh that the tracker counted itself."""
    done = subprocess.run(
        [python, "-c", TRACKED.format(options=options)],
        env={**os.environ, "HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout.strip().splitlines()[-1])


def energy_kwh(running: Service, workload: str) -> float:
    with running.client() as client:
        answer = client.get(f"/v1/workloads/{workload}/sci", params={"unit": "run"})
    return float(answer.raise_for_status().json()["energy_mj"]) / 3.6e9


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_an_unmodified_tracker_works_by_its_environment(
    running: Service,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    version: str,
    prefix: str,
) -> None:
    python = environment_of(version, tmp_path / "venv")
    experiment = f"00000000-0000-4000-8000-{VERSIONS.index(version):06d}{len(prefix):06d}"
    whole = track(
        python,
        "save_to_api=True",
        tmp_path,
        CODECARBON_API_ENDPOINT=running.url + prefix,
        CODECARBON_API_KEY=running.key,
        CODECARBON_EXPERIMENT_ID=experiment,
    )
    with running.client() as client:
        (run,) = client.get(f"/experiments/{experiment}/runs").raise_for_status().json()
    assert run["codecarbon_version"]
    # What it drew in a last delta of under a second it does not send.
    assert 0.7 * whole <= run["energy_consumed"] <= 1.001 * whole
    assert run["emissions_recomputed"] > 0


@pytest.mark.slow
def test_the_newest_tells_its_totals_to_an_endpoint(running: Service, tmp_path: Path) -> None:
    python = environment_of(VERSIONS[-1], tmp_path / "venv")
    url = running.url.replace("://", f"://carbon:{running.key}@")
    options = f'save_to_api=False, project_name="told", emissions_endpoint="{url}/emissions"'
    whole = track(python, options, tmp_path)
    assert energy_kwh(running, "told") == pytest.approx(whole, rel=1e-3)


@pytest.mark.slow
def test_the_command_line_reads_what_is_here(running: Service, tmp_path: Path) -> None:
    """`codecarbon test-api`, with one of our keys as its access token."""
    python = environment_of(VERSIONS[-1], tmp_path / "venv")
    (tmp_path / "credentials.json").write_text(f'{{"access_token": "{running.key}"}}')
    (tmp_path / ".codecarbon.config").write_text(f"[codecarbon]\napi_endpoint = {running.url}\n")
    done = subprocess.run(
        [python.with_name("codecarbon"), "test-api"],
        env={
            **os.environ,
            "HOME": str(tmp_path),
            "AUTH_SERVER_WELL_KNOWN": "http://127.0.0.1:9/",
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "default" in done.stdout, done.stdout + done.stderr
