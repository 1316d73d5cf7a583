"""No prompt, answer or example reaches the disk or a log; a team may take its data with it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from arms import comparison, send_arms
from command_line import call
from fastapi.testclient import TestClient
from ledger import interval
from metrics import DCGM, prometheus, written
from service import MINUTE, Service, T, batch, count, refused
from sqlalchemy import Engine

import carbon.client
from carbon.client import experiment as blocks_of
from carbon.client.run import RunRecord
from carbon.client.session import MeasuredBy
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.services.context import Context
from carbon.storage.engine import create_engine
from carbon.storage.migrations import upgrade

#: Stands for what a model was asked and answered.
PROMPT = "PATIENT-4711-asks-about-a-rash"


@pytest.fixture
def on_disk(
    tmp_path: Path, new_context: Callable[[Engine], Context]
) -> Iterator[tuple[Service, io.StringIO]]:
    """A service with everything on disk, and all that it logs at the finest level."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    engine = create_engine(f"sqlite:///{tmp_path / 'carbon.db'}")
    upgrade(engine)
    with Service.of(new_context(engine)) as made:
        yield made, log
    engine.dispose()
    root.removeHandler(handler)
    root.setLevel(level)


def test_no_payload_reaches_the_disk_or_a_log(
    on_disk: tuple[Service, io.StringIO],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    service, log = on_disk
    admin = service.admin
    send_arms(admin)
    asked = comparison()
    with_prompt = [
        ("/v1/energy", batch(interval(T, T + MINUTE, 1), prompt=PROMPT)),
        ("/v1/energy", batch({**interval(T, T + MINUTE, 2), "completion": PROMPT}, seq=2)),
        ("/v1/units", {"units": [{**count(1), "text": PROMPT}]}),
        ("/v1/experiments", {**asked, "prompt": PROMPT}),
        ("/v1/experiments", {**asked, "baseline": {**asked["baseline"], "output": PROMPT}}),
        ("/v1/experiments", {**asked, "answers": [{"group": "a", "answer": PROMPT}]}),
        ("/v1/experiments", f'{{"broken": "{PROMPT}'),
        ("/v1/recommendations/rec_0", {"state": PROMPT}),
    ]
    for path, body in with_prompt:
        sent = body if isinstance(body, str) else json.dumps(body)
        admin.request(
            "PATCH" if "rec_" in path else "POST",
            path,
            content=sent,
            headers={"Content-Type": "application/json"},
        )
    _send_metrics(admin)
    _run_experiment(service, tmp_path, monkeypatch, capfd)
    held = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv"]
    assert any(path.name == "carbon.db" for path in held)
    found = [path.name for path in held if PROMPT.encode() in path.read_bytes()]
    assert (found, PROMPT in log.getvalue()) == ([], False)


def _send_metrics(admin: TestClient) -> None:
    """Labels that exporters may put beside a counter, whether we know the metric or not."""
    at = [(T, 1e9), (T + MINUTE, 1.01e9)]
    labels = {"UUID": "GPU-1", "Hostname": "n1", "prompt": PROMPT}
    known, unknown = prometheus(DCGM, labels, at), prometheus("app_last_answer", labels, at)
    assert written(admin, known, unknown).status_code == 204
    attributes = [
        {"key": key, "value": {"stringValue": value}}
        for key, value in (("hw.id", "GPU-2"), ("gen_ai.prompt", PROMPT))
    ]
    points = [
        {"timeUnixNano": str(at_ms * 1_000_000), "asDouble": value, "attributes": attributes}
        for at_ms, value in at
    ]
    total = {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}
    metrics = [{"name": name, "sum": total} for name in ("hw.energy", "app.answers")]
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    assert admin.post("/v1/metrics", json=body).status_code == 200


def _run_experiment(
    service: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`carbon experiment run` with prompts in its commands and answers in a file."""
    key, _ = service.key("default", ADMIN_SCOPES)
    real, transport = carbon.client.Client, service.admin._transport
    monkeypatch.setattr(
        carbon.client, "Client", lambda: real("http://testserver", key, transport=transport)
    )
    names = iter([f"{arm}{n}" for n in range(4) for arm in "ab"])

    def run(*_: object, **__: object) -> RunRecord:
        return RunRecord(next(names), "w", 0, T, T + 1, [], [], {}, MeasuredBy.AGENT, 0)

    monkeypatch.setattr(blocks_of, "run_command", run)
    answers = tmp_path / "answers.csv"
    rows = [f"{PROMPT if n == 0 else 'a'},{n % 2},1,{n % 2}" for n in range(30)]
    answers.write_text("\n".join(["group,label,baseline,treatment", *rows[1:]]))
    ended = call(
        capfd, "experiment", "run", "--workload", "w", "--technique", "deployment",
        "--parameter", "change=x", "--unit", "token=1000", "--blocks", "4", "--warm-up", "0",
        "--baseline", f"ask '{PROMPT}'", "--treatment", f"ask -q '{PROMPT}'",
        "--answers", str(answers), "--json",
    )  # fmt: skip
    told = ended.out.strip().splitlines()[-1]
    assert json.loads(told)["baseline"]["config"] == {"program": "ask"}, ended.err


def test_a_team_takes_its_data_and_no_other_s(
    service: Service, admin: TestClient, team: TestClient
) -> None:
    send_arms(admin)
    team.post("/v1/energy", json=batch(interval(T, T + MINUTE, 9, "gpu-b", workload="own")))
    assert admin.post("/v1/experiments", json=comparison()).status_code == 201
    lines = admin.get("/v1/teams/default/data").text.splitlines()
    tables = [json.loads(line)["table"] for line in lines]
    assert {"team", "workload", "bucket", "unit_count", "run", "experiment"} <= set(tables)
    assert "api_key" not in tables
    own = team.get("/v1/teams/blue/data")
    assert own.status_code == 200
    assert '"own"' in own.text
    assert "exp_" not in own.text
    refused(team.get("/v1/teams/default/data"), 404, "unknown_team")
    refused(admin.get("/v1/teams/nobody/data"), 404, "unknown_team")
