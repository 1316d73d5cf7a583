"""What is sent to Ray's job service and made of its answers, without a Ray."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, LookState
from carbon.executors.ray import RayExecutor

HANDLE = Handle("job-1")


@dataclass
class JobService:
    """Answers as a test says, and keeps what it was sent."""

    address: str = ""
    status: int = 200
    told: object = field(default_factory=dict)
    got: list[tuple[str, str, Any]] = field(default_factory=list)


@pytest.fixture
def service() -> Iterator[JobService]:
    seen = JobService()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            seen.got.append((self.command, self.path, body))
            made = seen.told if isinstance(seen.told, str) else json.dumps(seen.told)
            self.send_response(seen.status)
            self.send_header("Content-Length", str(len(made.encode())))
            self.end_headers()
            self.wfile.write(made.encode())

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.address = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield seen
    server.shutdown()
    server.server_close()


def test_a_command_is_one_line_and_its_words_stay_words(
    service: JobService, tmp_path: Path
) -> None:
    spec = AttemptSpec(
        "job-1", ("sh", "-c", "echo 'a\nb $HOME' $A"), cwd=str(tmp_path), env={"A": "1"}
    )
    assert RayExecutor(service.address + "/").start(spec) == "job-1"
    method, path, body = service.got[0]
    assert (method, path, body["submission_id"]) == ("POST", "/api/jobs/", "job-1")
    assert "\n" not in body["entrypoint"]
    done = subprocess.run(["/bin/sh", "-c", body["entrypoint"]], capture_output=True, text=True)
    assert done.stdout == "a\nb $HOME 1\n"


def test_a_name_that_is_taken_is_our_own_submission(service: JobService) -> None:
    service.status, service.told = 500, "Traceback\nValueError: Job with id job-1 already exists."
    assert RayExecutor(service.address).start(AttemptSpec("job-1", ("true",))) == "job-1"


def test_other_refusals_are_told_in_rays_last_line(service: JobService) -> None:
    service.status, service.told = 500, "Traceback\n  at x\nRuntimeError: no space left"
    with pytest.raises(ExecutorAway, match="500: RuntimeError: no space left"):
        RayExecutor(service.address).start(AttemptSpec("job-1", ("true",)))
    with pytest.raises(ExecutorAway):
        RayExecutor(service.address).look(HANDLE)


@pytest.mark.parametrize(
    ("told", "state", "code"),
    [
        ({"status": "PENDING"}, LookState.PENDING, None),
        ({"status": "RUNNING", "start_time": 5}, LookState.RUNNING, None),
        ({"status": "SUCCEEDED", "start_time": 5, "end_time": 9}, LookState.ENDED, 0),
        ({"status": "FAILED", "start_time": 5, "driver_exit_code": 3}, LookState.ENDED, 3),
        ({"status": "FAILED", "start_time": 5, "driver_exit_code": -9}, LookState.ENDED, 137),
        ({"status": "FAILED", "start_time": 5, "message": "lost\nx"}, LookState.ENDED, 1),
        ({"status": "STOPPED", "start_time": 5}, LookState.ENDED, 143),
        ({"status": "STOPPED", "metadata": {"carbon_cancelled": "1"}}, LookState.ENDED, None),
    ],
)
def test_what_ray_says_is_understood(
    service: JobService, told: dict[str, Any], state: LookState, code: int | None
) -> None:
    service.told = told
    look = RayExecutor(service.address).look(HANDLE)
    assert (look.state, look.exit_code) == (state, code)
    assert "\n" not in look.detail


def test_what_ray_never_heard_of_is_absent(service: JobService) -> None:
    service.status = 404
    assert RayExecutor(service.address).look(HANDLE).state is LookState.ABSENT
    assert RayExecutor(service.address).logs(HANDLE).stdout == ""


def test_cancelled_before_it_was_submitted_its_name_is_taken(service: JobService) -> None:
    service.status, service.told = 404, "not found"
    with pytest.raises(ExecutorAway):  # the double answers 404 to the submission as well
        RayExecutor(service.address).cancel(HANDLE)
    assert service.got[-1][2]["metadata"]["carbon_cancelled"] == "1"


def test_cancelling_stops_what_runs_and_leaves_what_has_ended(service: JobService) -> None:
    service.told = {"status": "RUNNING"}
    RayExecutor(service.address).cancel(HANDLE)
    assert service.got[-1][:2] == ("POST", "/api/jobs/job-1/stop")
    service.told, service.got = {"status": "FAILED"}, []
    RayExecutor(service.address).cancel(HANDLE)
    assert [call[0] for call in service.got] == ["GET"]


def test_rays_own_lines_are_no_output_of_the_job(service: JobService) -> None:
    service.told = {
        "logs": "2026-11-26 16:11:41,496\tINFO job_manager.py:581 -- Runtime env is setting up.\n"
        "first\nRunning entrypoint for job x: eval\nlast\n"
    }
    assert RayExecutor(service.address).logs(HANDLE).stdout == "first\nlast\n"


def test_a_cluster_that_does_not_answer_is_away() -> None:
    with pytest.raises(ExecutorAway, match="ray"):
        RayExecutor("http://127.0.0.1:9").look(HANDLE)
