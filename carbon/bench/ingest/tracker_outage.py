"""A CodeCarbon tracker whose server is away for 6 s of a 17 s run: what reaches the ledger by its
own way, and by our output handler beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from carbon.bench.figure import Figure, at_most, not_taken, reported
from carbon.bench.serving import free_port
from carbon.collect.server_address import find_server

_RUN_S, _DOWN_FROM_S, _DOWN_S = 17.0, 4.0, 6.0

_TRACKED = """
import json, sys, time
from codecarbon import OfflineEmissionsTracker
from carbon.client import CodeCarbonOutput
url, key, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
tracker = OfflineEmissionsTracker(
    country_iso_code="FRA", measure_power_secs=1, api_call_interval=2, log_level="critical",
    save_to_file=False, save_to_api=True, api_endpoint=url, api_key=key,
    output_handlers=[CodeCarbonOutput("ours", url=url, key=key)],
)
tracker.start()
print("started", flush=True)
until = time.monotonic() + seconds
while time.monotonic() < until:
    sum(range(10_000))
tracker.stop()
print(json.dumps(tracker.final_emissions_data.energy_consumed), flush=True)
"""

#: What the tracker's process could not deliver before it ended, the next one does.
_LEFT = """
import sys
from carbon.client import CodeCarbonOutput
sys.exit(CodeCarbonOutput(url=sys.argv[1], key=sys.argv[2]).deliver(30))
"""


def tracker_outage_figures(quick: bool) -> list[Figure]:
    """Energy that never arrives, as a share of what the tracker itself counted."""
    name = "CodeCarbon with the server away for 6 of 17 s: energy lost"
    ours, own_way = f"{name}, by our handler", f"{name}, by its own way"
    if quick:
        return [not_taken(each, "%", "it takes 30 s") for each in (ours, own_way)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            lost_ours, lost_own = _lost(Path(folder))
    except RuntimeError as error:
        return [not_taken(ours, "%", str(error), "<= 0.1")]
    return [at_most(ours, 100 * lost_ours, "%", 0.1), reported(own_way, 100 * lost_own, "%")]


def _lost(folder: Path) -> tuple[float, float]:
    port = free_port()
    server = _serve(folder / "server", port)
    address = find_server(folder / "server", key_name="admin_key")
    assert address is not None
    assert address.key is not None
    environment = {**os.environ, "CARBON_DATA_DIR": str(folder / "client")}
    command = [sys.executable, "-c", _TRACKED, address.url, address.key, str(_RUN_S)]
    tracked = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert tracked.stdout is not None
    try:
        if tracked.stdout.readline().strip() != "started":
            raise RuntimeError("CodeCarbon could not be started")
        time.sleep(_DOWN_FROM_S)
        server.terminate()
        server.wait(timeout=15)
        time.sleep(_DOWN_S)
        server = _serve(folder / "server", port)
        whole_kwh = float(json.loads(tracked.stdout.readline()))
        tracked.wait(timeout=30)
        left = [sys.executable, "-c", _LEFT, address.url, address.key]
        subprocess.run(left, env=environment, check=True, timeout=60)
        kwh = [_energy_kwh(address.url, address.key, name) for name in ("ours", "codecarbon")]
    finally:
        tracked.kill()
        server.terminate()
        server.wait(timeout=15)
    return 1 - kwh[0] / whole_kwh, 1 - kwh[1] / whole_kwh


def _serve(data_dir: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "carbon", "serve", "--port", str(port)]
    command += ["--data-dir", str(data_dir)]
    quiet = {"CARBON_FEEDS": "false", "CARBON_LOG_LEVEL": "warning"}
    server = subprocess.Popen(command, env={**os.environ, **quiet}, stderr=subprocess.DEVNULL)
    ready = threading.Event()
    for _ in range(600):
        address = find_server(data_dir, key_name="admin_key")
        if address is not None and _answers(address.url):
            return server
        if server.poll() is not None:
            break
        ready.wait(0.05)
    server.terminate()
    raise RuntimeError("the service under measurement did not start")


def _answers(url: str) -> bool:
    import httpx2

    try:
        return httpx2.get(f"{url}/readyz", timeout=1.0).status_code == 200
    except httpx2.TransportError:
        return False


def _energy_kwh(url: str, key: str, workload: str) -> float:
    import httpx2

    path = f"{url}/v1/workloads/{workload}/sci?unit=device_hour"
    answer = httpx2.get(path, headers={"Authorization": f"Bearer {key}"}, timeout=30.0)
    answer.raise_for_status()
    return float(answer.json()["energy_mj"]) / 3.6e9
