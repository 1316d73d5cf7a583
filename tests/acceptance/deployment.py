"""`carbon` as installed, in a data folder of its own, with everything it starts in view."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil

CARBON = Path(sys.executable).with_name("carbon")
_BURN = Path(__file__).with_name("burn.py")
#: The shell takes hold of the GPUs and becomes the program: what they draw while an interpreter
#: comes up would rightly be idle, and nobody knows how long that takes.
_HOLD = 'echo "burn $$" > "$BURN_PIDS" && exec "$0" "$@"'
_LOOK_EVERY_S = 0.05


def burn(seconds: float, exit_code: int = 0) -> tuple[str, ...]:
    """The command of a workload that is busy on the scripted GPUs from its first instant on."""
    return ("sh", "-c", _HOLD, sys.executable, str(_BURN), str(seconds), str(exit_code))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Deployment:
    """Use as a context manager: nothing that it started outlives it."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.log_file = folder / "up.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        clean = {name: v for name, v in os.environ.items() if not name.startswith("CARBON_")}
        self.env = {
            **clean,
            "CARBON_DATA_DIR": str(self.data_dir),
            "CARBON_PORT": str(self.port),
            "CARBON_FEEDS": "false",
            "CARBON_ZONE": "DE",
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Deployment:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process is not None:
            self.process.wait()

    def up(self, *arguments: str) -> Deployment:
        """Starts it and returns as soon as it is ready."""
        self.start(*arguments)
        self.wait_for("readiness", self.is_ready)
        return self

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [CARBON, "up", *arguments],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.process

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Asks `carbon up` to end; its exit code, negative where the signal killed it."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=15)

    def carbon(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CARBON, *arguments], env=self.env, capture_output=True, text=True, **options
        )

    def carbon_json(self, *arguments: str) -> dict[str, Any]:
        """The last line that a command printed with `--json`."""
        done = self.carbon(*arguments)
        assert done.returncode == 0, done.stderr
        return last_json(done.stdout)

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """A `carbon` command that goes on while the test does other things."""
        return subprocess.Popen(
            [CARBON, *arguments],
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def get(self, path: str, **query: str) -> dict[str, Any]:
        return self._answer("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._answer("POST", path, json=body)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def wait_for(self, what: str, holds: Callable[[], Any], within_s: float = 30.0) -> None:
        until_s = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < until_s, f"no {what} within {within_s:g} s\n{self.log}"
            time.sleep(_LOOK_EVERY_S)

    def wait_for_agent(self, devices: int) -> None:
        """Until the agent has attributed power of so many devices."""
        self.wait_for("agent", lambda: len(self.agent_status().get("devices", [])) >= devices)

    def agent_status(self) -> dict[str, Any]:
        """What the agent says at its socket; empty where none answers."""
        try:
            with socket.socket(socket.AF_UNIX) as asked, asked.makefile("rb") as lines:
                asked.connect((self.data_dir / "agent/agent.pid").read_text().splitlines()[2])
                asked.sendall(b'{"op": "status"}\n')
                return dict(json.loads(lines.readline()))
        except (OSError, ValueError, IndexError):
            return {}

    @property
    def agent_pid(self) -> int:
        return int((self.data_dir / "agent/agent.pid").read_text().splitlines()[0])

    @property
    def log(self) -> str:
        """What `carbon up` has said, over all of its starts."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def agent_log(self) -> str:
        return (self.data_dir / "agent/agent.log").read_text()

    def processes(self) -> list[psutil.Process]:
        """Whatever lives by this data folder."""
        return [p for p in psutil.process_iter() if _data_dir_of(p) == str(self.data_dir)]

    def ask(self, method: str, path: str, **sent: Any) -> httpx2.Response:
        """As `get` and `post`, whatever comes of it."""
        key = json.loads((self.data_dir / "server.json").read_text())["admin_key"]
        headers = {"Authorization": f"Bearer {key}"}
        return httpx2.request(method, self.url + path, headers=headers, timeout=30, **sent)

    def _answer(self, method: str, path: str, **sent: Any) -> dict[str, Any]:
        answer = self.ask(method, path, **sent)
        assert answer.is_success, answer.text
        return dict(answer.json())


def last_json(output: str) -> dict[str, Any]:
    return dict(json.loads(output.strip().splitlines()[-1]))


def _data_dir_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get("CARBON_DATA_DIR")
    except psutil.Error:
        return None
