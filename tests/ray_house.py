"""A Ray cluster of one node on loopback, from an environment of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

#: Its folder of programs, made by: python -m venv V && V/bin/pip install 'ray[default]'.
VARIABLE = "CARBON_TEST_RAY"


def _program() -> str | None:
    folder = os.environ.get(VARIABLE)
    return shutil.which("ray", path=str(Path(folder) / "bin") if folder else None)


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    ray = _program()
    if ray is None:
        pytest.skip(f"no ray: make an environment with 'ray[default]' and name it in {VARIABLE}")
    # Short: Ray puts sockets below, whose names are limited.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    port, gcs = _free_port(), _free_port()
    command = [
        ray, "start", "--head", "--block", "--num-cpus=2", "--disable-usage-stats",
        f"--dashboard-port={port}", "--dashboard-host=127.0.0.1", "--node-ip-address=127.0.0.1",
        f"--port={gcs}", f"--temp-dir={folder}", "--object-store-memory=100000000",
    ]  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CARBON_")}
    environment["PATH"] = f"{Path(ray).parent}:{os.environ.get('PATH', '')}"
    with (folder / "out").open("wb") as out:
        head = subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(address, folder / "out")
        yield address
    finally:
        head.terminate()
        try:
            head.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, 9)
            head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_it_answers(address: str, out: Path) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            # Its first job takes Ray many times what the others do.
            warm_up = {"entrypoint": "true", "submission_id": "warm-up"}
            told = httpx2.post(f"{address}/api/jobs/", json=warm_up, timeout=60)
            if told.is_success or "already exists" in told.text:
                return
        except httpx2.HTTPError:
            pass
        time.sleep(0.5)
    pytest.skip(f"ray did not come up: {out.read_text()[-1500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
