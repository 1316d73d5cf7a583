"""The operator in a real Airflow, which has an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from carbon.clock import to_rfc3339

#: Its folder, made by: python -m venv V && V/bin/pip install apache-airflow -e .
VARIABLE = "CARBON_TEST_AIRFLOW"
REPO = Path(__file__).resolve().parents[2]
PATIENCE_S = 400
#: Two of its steps start Airflow anew, which takes many seconds each.
DAG = """
    import json, os
    from pathlib import Path

    from airflow.sdk import DAG, task
    from carbon.client.airflow import CleanWindowOperator

    with DAG("nightly", schedule=None) as dag:
        clean = CleanWindowOperator(
            task_id="clean", deadline="{{ '1h' }}", length="10m", zone="DE"
        )
        late = CleanWindowOperator(
            task_id="late", deadline="2020-01-01T00:00:00Z", length="10m", zone="DE"
        )

        @task
        def train(clean, late):
            Path(os.environ["TOLD"]).write_text(json.dumps([clean, late]))

        train(clean.output, late.output)

    if __name__ == "__main__":
        from airflow.sdk._shared.module_loading import import_string

        from carbon.client.airflow import CleanWindowTrigger

        path, told = CleanWindowTrigger(600_000, 7_200_000, "DE", 1).serialize()
        again = import_string(path)(**json.loads(json.dumps(told)))
        assert again.serialize() == (path, told)
        print("ended:", dag.test().state)
"""


def test_nothing_but_the_operator_itself_needs_airflow() -> None:
    code = """
        import pkgutil, sys
        sys.modules["airflow"] = None
        import carbon, carbon.client
        for name in carbon.client.__all__:
            getattr(carbon.client, name)
        assert "carbon.client.airflow" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=REPO)


@pytest.fixture
def airflow(tmp_path: Path) -> dict[str, str]:
    """The variables of its processes, with its database made."""
    python = Path(os.environ.get(VARIABLE, "")) / "bin" / "python"
    if not os.environ.get(VARIABLE) or not python.exists():
        pytest.skip(f"no Airflow: make an environment with apache-airflow, name it in {VARIABLE}")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("CARBON_", "AIRFLOW_"))}
    environment = {
        **kept,
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PATH": f"{python.parent}:{os.environ.get('PATH', '')}",
        "PYTHON": str(python),
        "TOLD": str(tmp_path / "told.json"),
    }
    migrate = [str(python.parent / "airflow"), "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, timeout=PATIENCE_S, capture_output=True)
    return environment


@pytest.fixture
def cleaner_in_three_seconds() -> Iterator[str]:
    """A server whose forecast has one change, some seconds after it is first asked."""
    asked_ms: list[int] = []

    class Forecast(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked_ms.append(time.time_ns() // 1_000_000)
            change, end = asked_ms[0] + 3_000, asked_ms[0] + 7_200_000
            spans = [(asked_ms[0] - 60_000, change, 500.0), (change, end, 50.0)]
            points = [
                {"start": to_rfc3339(a), "end": to_rfc3339(b), "g_per_kwh": g, "kind": "forecast"}
                for a, b, g in spans
            ]
            body = json.dumps({"points": points}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Forecast)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
def test_a_task_waits_for_the_clean_window_in_the_triggerer(
    airflow: dict[str, str], cleaner_in_three_seconds: str, tmp_path: Path
) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "nightly.py").write_text(textwrap.dedent(DAG))
    environment = {**airflow, "CARBON_URL": cleaner_in_three_seconds, "CARBON_KEY": "none"}
    ended = subprocess.run(
        [airflow["PYTHON"], str(folder / "nightly.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert "ended: success" in ended.stdout, ended.stdout[-3000:] + ended.stderr[-3000:]
    assert "DEFERRED" in ended.stdout + ended.stderr
    clean, late = json.loads(Path(airflow["TOLD"]).read_text())
    assert (clean["reason"], clean["g_per_kwh"]) == ("clean_window", 50.0)
    assert clean["waited_s"] >= 3
    assert late["reason"] == "deadline_guard"
