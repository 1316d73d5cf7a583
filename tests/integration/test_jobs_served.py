"""Jobs over HTTP and by the command line, on a server that really listens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2
import pytest
import typer
import uvicorn
from fastapi import FastAPI
from job_house import ZONE
from stores import migrate
from typer.testing import CliRunner, Result

from carbon.api.problems import handle_errors
from carbon.api.routes import jobs, pools
from carbon.auth.keys import create_key
from carbon.cli import jobs as verbs
from carbon.clock import SystemClock
from carbon.domain.tenancy import ADMIN_SCOPES, TEAM_SCOPES, Scope
from carbon.errors import CarbonError, InvalidInput
from carbon.scheduler.scheduler import Scheduler
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine


class Served:
    """A server with keys for its administrator, its team, another team and a mere reader."""

    def __init__(self, context: Context, url: str) -> None:
        self.context, self.url = context, url
        self.keys = {
            name: create_key(context, name, team, scopes)[0]
            for name, team, scopes in (
                ("admin", "default", ADMIN_SCOPES),
                ("team", "default", TEAM_SCOPES),
                ("other", "other", TEAM_SCOPES),
                ("reader", "default", frozenset({Scope.REPORTS_READ})),
            )
        }

    def call(
        self, method: str, path: str, body: Any = None, who: str = "team", **headers: str
    ) -> httpx2.Response:
        headers["Authorization"] = f"Bearer {self.keys[who]}"
        return httpx2.request(method, self.url + path, json=body, headers=headers)

    @property
    def environment(self) -> dict[str, str]:
        return {"CARBON_URL": self.url, "CARBON_KEY": self.keys["team"]}

    def cli(self, *words: str) -> Result:
        """The verbs of jobs, without the second it costs to start a Python."""
        app = typer.Typer()
        verbs.register(app)
        return CliRunner().invoke(app, words, env=self.environment)

    def program(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from carbon.cli import main; main()", *words],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data_dir = tmp_path_factory.mktemp("served")
    engine = create_engine(f"sqlite:///{data_dir / 'carbon.db'}")
    migrate(engine)
    context = Context(engine, Settings(data_dir=data_dir, zone=ZONE, feeds=False), SystemClock())
    app = FastAPI()
    app.state.context = context
    handle_errors(app)
    app.include_router(jobs.router)
    app.include_router(pools.router)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    scheduler = Scheduler(context)
    scheduler.start()
    yield Served(context, f"http://127.0.0.1:{port}")
    scheduler.stop()
    server.should_exit = True
    thread.join()
    engine.dispose()


def body(**fields: Any) -> dict[str, Any]:
    return {"name": "hello", "executor": "local", "command": "echo hi", "deadline": "6h"} | fields


def result_of(served: Served, job_id: str) -> dict[str, Any]:
    while (found := served.call("GET", f"/v1/jobs/{job_id}/result").json())["exit_code"] is None:
        time.sleep(0.02)
    return dict(found)


class TestOverHttp:
    def test_a_job_is_submitted_runs_and_is_looked_at(self, served: Served) -> None:
        made = served.call("POST", "/v1/jobs", body())
        assert made.status_code == 201
        answer = made.json()
        assert {"id", "state", "reason", "placement"} <= answer.keys()
        assert answer["placement"].keys() == {"start", "end", "zone", "expected_g", "start_now_g"}
        result = result_of(served, answer["id"])
        assert (result["state"], result["exit_code"]) == ("succeeded", 0)
        logs = served.call("GET", f"/v1/jobs/{answer['id']}/logs").json()
        assert logs["stdout"] == "hi\n"
        saving = served.call("GET", f"/v1/jobs/{answer['id']}/saving").json()
        assert (saving["energy_mj"], saving["flags"]) == (None, ["no_energy"])
        listed = served.call("GET", "/v1/jobs?state=succeeded,failed&limit=500").json()
        assert answer["id"] in [job["id"] for job in listed["jobs"]]

    def test_the_idempotency_key_travels_in_its_header(self, served: Served) -> None:
        first, again = (
            served.call("POST", "/v1/jobs", body(name="once"), **{"Idempotency-Key": "k1"})
            for _ in range(2)
        )
        assert first.json()["id"] == again.json()["id"]
        other = served.call("POST", "/v1/jobs", body(name="two"), **{"Idempotency-Key": "k1"})
        assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")

    @pytest.mark.parametrize(
        ("sent", "status", "code"),
        [
            (body(executor="ray"), 422, "unknown_executor"),
            (body(deadline="-6h"), 422, "invalid_moment"),
            (body(colour=1), 422, "invalid_body"),
            ({"name": "x"}, 422, "invalid_body"),
            ([], 422, "invalid_body"),
        ],
    )
    def test_errors_are_problem_documents(
        self, served: Served, sent: Any, status: int, code: str
    ) -> None:
        answer = served.call("POST", "/v1/jobs", sent)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"

    def test_what_is_not_json_is_malformed(self, served: Served) -> None:
        answer = httpx2.post(
            served.url + "/v1/jobs",
            content=b'{"deadline": NaN',
            headers={
                "Authorization": f"Bearer {served.keys['team']}",
                "Content-Type": "application/json",
            },
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "/v1/jobs"), ("POST", "/v1/jobs/batch"), ("POST", "/v1/pools")],
    )
    def test_a_reader_changes_nothing(self, served: Served, method: str, path: str) -> None:
        assert served.call(method, path, body(), who="reader").status_code == 403
        assert httpx2.request(method, served.url + path, json=body()).status_code == 401

    def test_waiting_jobs_are_changed_started_and_cancelled(self, served: Served) -> None:
        later = body(name="later", earliest="5h", length_s=60)
        first, second = (served.call("POST", "/v1/jobs", later).json()["id"] for _ in range(2))
        changed = served.call("PATCH", f"/v1/jobs/{first}", {"deadline": "9h"})
        assert changed.json()["state"] == "waiting"
        assert served.call("POST", f"/v1/jobs/{first}/start").json()["reason"] == "asked_to_start"
        assert result_of(served, first)["state"] == "succeeded"
        assert served.call("DELETE", f"/v1/jobs/{second}").json()["state"] == "cancelled"
        assert served.call("POST", f"/v1/jobs/{second}/start").status_code == 409
        assert served.call("GET", f"/v1/jobs/{second}", who="other").status_code == 404

    def test_batches_and_pools(self, served: Served) -> None:
        pool = served.call("POST", "/v1/pools", {"name": "two", "capacity": 2}, who="admin")
        assert (pool.status_code, pool.json()["capacity"]) == (201, 2)
        batch = {"jobs": [body(pool="two", earliest="5h"), body(pool="none")]}
        answer = served.call("POST", "/v1/jobs/batch", batch).json()
        assert [job["pool"] for job in answer["jobs"]] == ["two"]
        assert [r["code"] for r in answer["rejected"]] == ["unknown_pool"]
        names = [p["name"] for p in served.call("GET", "/v1/pools").json()["pools"]]
        assert {"local", "two"} <= set(names)


class TestByCommandLine:
    def test_submit_wait_and_logs(self, served: Served) -> None:
        words = ["submit", "--deadline", "6h", "--length", "10m", "--json"]
        made = _json(served.cli(*words, "--", "sh", "-c", "echo out; echo err >&2"))
        assert made["name"] == "sh"
        waited = served.cli("jobs", "wait", made["id"])
        assert waited.exit_code == 0
        assert "succeeded" in waited.stdout
        logs = served.cli("jobs", "logs", made["id"])
        assert (logs.stdout, logs.stderr) == ("out\n", "err\n")
        shown = _json(served.cli("jobs", "show", made["id"], "--json"))
        assert shown["saving"]["flags"] == ["no_energy"]

    def test_the_zone_where_it_runs_may_be_named(self, served: Served) -> None:
        words = ["submit", "--deadline", "6h", "--length", "1m", "--zone", "FR", "--json"]
        assert _json(served.cli(*words, "--", "true"))["placement"]["zone"] == "FR"

    def test_waiting_for_a_job_that_fails_is_failing(self, served: Served) -> None:
        made = _json(served.cli("submit", "--deadline", "6h", "--json", "--", "false"))
        assert served.cli("jobs", "wait", made["id"]).exit_code == 1

    def test_a_waiting_job_says_when_and_why_and_goes_when_told(self, served: Served) -> None:
        words = ["submit", "--deadline", "6h", "--length", "10m", "--earliest", "5h"]
        made = served.cli(*words, "--name", "patient", "--", "true")
        job_id, state = made.stdout.splitlines()[0].split()
        assert state == "waiting"
        assert "(nothing known says that waiting helps)" in made.stdout
        assert job_id in served.cli("jobs", "list", "--state", "waiting").stdout
        assert served.cli("now", job_id).exit_code == 0
        assert served.cli("jobs", "wait", job_id).exit_code == 0

    @pytest.mark.parametrize(
        ("words", "exit_code", "error"),
        [
            (["submit", "--deadline", "soon", "--", "true"], 2, "'soon' is no time"),
            (["submit", "--deadline", "6h", "--length", "x", "--", "true"], 2, "'x' is no dur"),
            (["submit", "--deadline", "1h", "--length", "2h", "--", "true"], 2, "does not fit"),
            (["submit", "--deadline", "6h", "--executor", "x", "--", "true"], 2, "known: local"),
            (["submit", "--deadline", "6h", "--zone", "XX", "--", "true"], 2, "zone 'XX'"),
            (["jobs", "show", "job_0"], 1, "no job 'job_0'"),
        ],
    )
    def test_an_error_is_one_line(
        self, served: Served, words: Sequence[str], exit_code: int, error: str
    ) -> None:
        ended = served.cli(*words)
        assert isinstance(ended.exception, CarbonError)
        assert (2 if isinstance(ended.exception, InvalidInput) else 1) == exit_code
        [line] = ended.exception.detail.splitlines()
        assert error in line

    def test_the_program_prints_that_line_and_exits_so(self, served: Served) -> None:
        ended = served.program("jobs", "show", "job_0")
        assert (ended.returncode, ended.stderr) == (1, "error: no job 'job_0'\n")

    def test_a_missing_deadline_is_a_mistake_of_usage(self, served: Served) -> None:
        assert served.cli("submit", "--", "true").exit_code == 2


def _json(ended: Result) -> dict[str, Any]:
    assert ended.exit_code == 0, ended.stderr
    return dict(json.loads(ended.stdout))
