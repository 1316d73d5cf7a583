"""Jobs that another system runs: how it is told, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from job_house import OWNER, STRANGER, House

from carbon.clock import to_rfc3339
from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.executors.webhook import Shape, Target, WebhookExecutor, read_targets, signature
from carbon.scheduler.leader import Leader
from carbon.scheduler.scheduler import Scheduler
from carbon.services.ingest.ingest import Ingest
from carbon.services.ingest.writer import Writer
from carbon.services.jobs.events import note_event
from carbon.services.jobs.jobs import Jobs
from carbon.services.jobs.savings import saving
from carbon.wire.jobs import JobAnswer, JobBody, JobEvent


@dataclass
class Receiver:
    """What a target was sent, and what it answers."""

    url: str = ""
    status: int = 204
    #: Breaks off in place of an answer, after it has taken the call.
    loses_answers: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    seen = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
            if seen.loses_answers:
                self.connection.close()
                return
            self.send_response(seen.status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_address[1]}/start"
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield seen
    server.shutdown()
    server.server_close()


@dataclass
class Deployment:
    house: House
    jobs: Jobs
    scheduler: Scheduler
    ingest: Ingest

    def submit(self, target: str = "generic", **fields: Any) -> JobAnswer:
        return self.jobs.submit(OWNER, body(target, **fields))

    def event(self, job_id: str, state: str, **members: Any) -> JobAnswer:
        told = JobEvent(state, **members)  # type: ignore[arg-type]
        return note_event(self.house.context, self.ingest, OWNER, job_id, told)


def body(target: str = "generic", **fields: Any) -> JobBody:
    spec = {"target": target, "inputs": {"size": 3}}
    return JobBody(
        **{"name": "build", "executor": "webhook", "deadline": "6h", "spec": spec, **fields}
    )


@pytest.fixture
def deployment(house: House, receiver: Receiver, tmp_path: Path) -> Iterator[Deployment]:
    secret = str(tmp_path / "secret")
    Path(secret).write_text("s3cret\n")
    targets = {str(shape): Target(receiver.url, secret, shape) for shape in Shape}
    targets["theirs"] = Target(receiver.url, secret, teams=["other"])
    executor = WebhookExecutor(tmp_path / "webhooks", targets, house.clock)
    executors = {"webhook": executor}
    writer = Writer(house.context)
    writer.start()
    scheduler = Scheduler(house.context, executors, Leader(house.context, "hooks"))
    jobs = Jobs(house.context, executors)
    yield Deployment(house, jobs, scheduler, Ingest(house.context, writer))
    writer.stop()


def test_the_call_is_signed_and_names_the_attempt(
    deployment: Deployment, receiver: Receiver
) -> None:
    made = deployment.submit()
    deployment.scheduler.tick()
    headers, sent = receiver.got[0]
    assert headers["carbon-signature"] == signature("s3cret", sent)
    assert headers["idempotency-key"] == f"{made.id}-1"
    told = json.loads(sent)
    assert (told["carbon_job"], told["inputs"]) == (made.id, {"size": 3})
    deployment.scheduler.tick()
    assert len(receiver.got) == 1


def test_github_and_gitlab_get_their_own_shapes(deployment: Deployment, receiver: Receiver) -> None:
    deployment.submit("github")
    deployment.scheduler.tick()
    headers, sent = receiver.got.pop()
    assert headers["authorization"] == "Bearer s3cret"
    told = json.loads(sent)
    assert (told["ref"], told["inputs"]["size"]) == ("main", "3")
    deployment.submit("gitlab")
    deployment.scheduler.tick()
    told = json.loads(receiver.got.pop()[1])
    assert (told["token"], told["variables"]["size"]) == ("s3cret", "3")
    assert told["variables"]["CARBON_ATTEMPT"].endswith("-1")


def test_a_target_that_is_down_is_tried_again_ever_more_seldom_until_the_deadline(
    deployment: Deployment, receiver: Receiver
) -> None:
    receiver.status = 503
    made = deployment.submit()
    for _ in range(20):
        deployment.scheduler.tick()
        deployment.house.clock.advance(0.5)
    assert 3 <= len(receiver.got) <= 5
    assert deployment.jobs.get(OWNER, made.id).state == "starting"
    deployment.house.clock.advance(6 * 3600)
    deployment.scheduler.tick()
    assert deployment.jobs.get(OWNER, made.id).state == "failed"
    assert "503" in deployment.jobs.result(OWNER, made.id).attempts[0].detail


def test_a_lost_answer_is_told_again_with_the_same_key(
    deployment: Deployment, receiver: Receiver
) -> None:
    receiver.loses_answers = True
    deployment.submit()
    deployment.scheduler.tick()
    receiver.loses_answers = False
    deployment.house.clock.advance(2)
    deployment.scheduler.tick()
    assert len({headers["idempotency-key"] for headers, _ in receiver.got}) == 1


def test_start_and_end_and_energy_come_as_events_and_twice_is_once(deployment: Deployment) -> None:
    made = deployment.submit()
    deployment.scheduler.tick()
    began_ms = deployment.house.clock.now_ms()
    assert deployment.event(made.id, "started").state == "running"
    deployment.house.clock.advance(600)
    end = {"energy_mj": 3_600_000, "method": "counter", "at": to_rfc3339(began_ms + 600_000)}
    for _ in range(2):
        done = deployment.event(made.id, "succeeded", **end)
    assert (done.state, done.exit_code) == ("succeeded", 0)
    with pytest.raises(Conflicting, match="exit code 0"):
        deployment.event(made.id, "failed")
    with pytest.raises(Conflicting, match="other energy"):
        deployment.event(made.id, "succeeded", **{**end, "energy_mj": 5})
    deployment.scheduler.tick()
    assert saving(deployment.house.context, OWNER, made.id).id == made.id


def test_a_failure_is_run_again_while_retries_are_left(
    deployment: Deployment, receiver: Receiver
) -> None:
    made = deployment.submit(retries=1)
    deployment.scheduler.tick()
    assert deployment.event(made.id, "failed", exit_code=3).state == "waiting"
    deployment.scheduler.tick()
    assert [h["idempotency-key"] for h, _ in receiver.got] == [f"{made.id}-1", f"{made.id}-2"]
    assert deployment.event(made.id, "failed", attempt=f"{made.id}-2").state == "failed"


def test_a_cancelled_job_stays_cancelled_whatever_comes(deployment: Deployment) -> None:
    made = deployment.submit()
    deployment.scheduler.tick()
    deployment.jobs.cancel(OWNER, made.id)
    deployment.scheduler.tick()
    assert deployment.event(made.id, "succeeded").state == "cancelled"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"spec": None}, "spec_missing"),
        ({"command": ["true"]}, "spec_missing"),
        ({"spec": {"target": "nowhere"}}, "unknown_target"),
        ({"spec": {"target": "theirs"}}, "unknown_target"),
        ({"spec": {"target": "generic", "url": "http://elsewhere"}}, "invalid_spec"),
        ({"spec": {"target": "generic", "inputs": [1]}}, "invalid_spec"),
    ],
)
def test_a_spec_that_cannot_be_sent_is_refused(
    deployment: Deployment, fields: dict[str, Any], code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        deployment.submit(**fields)
    assert refused.value.code == code


def test_events_that_cannot_be_meant_are_refused(deployment: Deployment) -> None:
    made = deployment.submit()
    with pytest.raises(Conflicting, match="not handed"):
        deployment.event(made.id, "started")
    deployment.scheduler.tick()
    for state, members in (
        ("succeeded", {"exit_code": 1}),
        ("failed", {"exit_code": 0}),
        ("started", {"energy_mj": 1}),
        ("succeeded", {"at": "2020-01-01T00:00:00Z"}),
        ("succeeded", {"at": "2030-01-01T00:00:00Z"}),
        ("succeeded", {"at": "soon"}),
    ):
        with pytest.raises(InvalidInput):
            deployment.event(made.id, state, **members)
    with pytest.raises(NotFound):
        deployment.event(made.id, "started", attempt="job_x-9")
    context, ingest = deployment.house.context, deployment.ingest
    with pytest.raises(NotFound):
        note_event(context, ingest, STRANGER, made.id, JobEvent("started"))


def test_a_local_job_is_not_told_of_from_outside(deployment: Deployment) -> None:
    house = deployment.house
    made = house.jobs.submit(OWNER, JobBody("n", "local", "6h", command=["true"]))
    with pytest.raises(Conflicting, match="reports on its own"):
        deployment.event(made.id, "succeeded")


def test_a_file_of_targets_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    path = tmp_path / "hooks.toml"
    path.write_text('[ci]\nurl = "http://x"\n')
    with pytest.raises(CarbonError, match=r"hooks\.toml.*secret_file"):
        read_targets(path)
    path.write_text('[ci]\nurl = "http://x"\nsecret_file = "/s"\nshape = "github"\n')
    assert read_targets(path)["ci"].shape == "github"


def test_a_target_that_is_away_is_not_asked_again_for_each_job(
    deployment: Deployment, receiver: Receiver
) -> None:
    receiver.status = 503
    made = [deployment.submit() for _ in range(5)]
    deployment.scheduler.tick()
    assert len(receiver.got) == 1
    receiver.status = 204
    deployment.house.clock.advance(2)
    deployment.scheduler.tick()
    assert len(receiver.got) == 1 + len(made)


def test_a_job_that_is_refused_holds_up_no_other(
    deployment: Deployment, receiver: Receiver
) -> None:
    receiver.status = 422
    deployment.submit()
    deployment.submit()
    deployment.scheduler.tick()
    assert len(receiver.got) == 2
