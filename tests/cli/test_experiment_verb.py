"""`carbon experiment` against a running service."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arms import comparison, send_arms
from command_line import Ended
from job_house import fresh_engine
from service import Service
from sqlalchemy import Engine

import carbon.client
from carbon.client import experiment as blocks_of
from carbon.client.experiment import arm_body, run_blocks
from carbon.client.run import RunRecord
from carbon.client.session import MeasuredBy
from carbon.domain.tenancy import ADMIN_SCOPES
from carbon.errors import CarbonError, InvalidInput
from carbon.services.context import Context

Carbon = Callable[..., Ended]
RUN = ("experiment", "run", "--workload", "w", "--technique", "deployment")
ARMS = ("--baseline", "true", "--treatment", "true")


@pytest.fixture
def service(
    new_context: Callable[[Engine], Context], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    engine = fresh_engine()
    with Service.of(new_context(engine)) as made:
        key, _ = made.key("default", ADMIN_SCOPES)
        real, transport = carbon.client.Client, made.admin._transport
        monkeypatch.setattr(
            carbon.client, "Client", lambda: real("http://testserver", key, transport=transport)
        )
        yield made
    engine.dispose()


def test_an_experiment_is_shown_listed_and_checked(service: Service, carbon: Carbon) -> None:
    assert "no experiment is recorded" in carbon("experiment", "list").out
    send_arms(service.admin)
    good = service.admin.post("/v1/experiments", json=comparison(gates={"verdict": "saves"}))
    bad = service.admin.post("/v1/experiments", json=comparison(gates={"quality_loss": 0.01}))
    shown = carbon("experiment", "show", good.json()["id"])
    assert (shown.code, "saves carbon (at 99%)" in shown.out) == (0, True)
    assert "not measured network" in shown.out
    assert carbon("experiment", "show", good.json()["id"], "--json").json == good.json()
    assert len(carbon("experiment", "list", "--workload", "w", "--json").json["experiments"]) == 2
    passed = carbon("experiment", "check", good.json()["id"], "--markdown")
    assert (passed.code, "| verdict | saves | saves | ✅ passed |" in passed.out) == (0, True)
    failed = carbon("experiment", "check", bad.json()["id"], "--json")
    assert (failed.code, '"outcome":"not_stated"' in failed.out) == (1, True)
    assert "unknown" not in carbon("experiment", "show", "exp_0").failed(1)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--parameter", "change"),
        ("--parameter", "change=a", "--unit", "request"),
        ("--parameter", "change=a", "--config", "n=12"),
        ("--parameter", "change=a", "--answers", "nowhere.csv"),
        ("--parameter", "change=a", "--baseline", "'"),
        ("--parameter", "change=a", "--treatment", " "),
    ],
)
def test_what_cannot_be_meant_is_told_before_anything_runs(
    carbon: Carbon, options: tuple[str, ...]
) -> None:
    assert carbon(*RUN, *ARMS, *options).failed(2)


def record(exit_code: int = 0, **units: int) -> RunRecord:
    return RunRecord("r", "w", exit_code, 0, 1000, [], [], units, MeasuredBy.NOBODY, 0)


def test_blocks_alternate_and_warm_up_is_not_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The command is told its arm, and its counts and quality are read from its result file."""
    seen: list[str] = []

    def run(argv: Any, *_: Any, environment: Any, count_after: Any, **__: Any) -> RunRecord:
        seen.append(f"{argv[0]}{environment['CARBON_EXPERIMENT_BLOCK']}")
        Path(environment["CARBON_RESULT"]).write_text('{"quality": 0.5, "units": {"token": 7}}')
        return record(**count_after())

    monkeypatch.setattr(blocks_of, "run_command", run)
    commands = {"baseline": ["a"], "treatment": ["b"]}
    done = run_blocks(commands, "w", {}, blocks=2, warm_up=1, options=None)  # type: ignore[arg-type]
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert {block.record.units["token"] for block in done} == {7}
    assert arm_body(done, "treatment")["blocks"] == [{"run": "r", "quality": 0.5}] * 2


@pytest.mark.parametrize(
    ("code", "written", "kind"),
    [(3, "{}", CarbonError), (0, "prose", InvalidInput), (0, '{"answer": "x"}', InvalidInput)],
)
def test_a_failing_command_or_a_result_that_is_none_ends_the_experiment(
    monkeypatch: pytest.MonkeyPatch, code: int, written: str, kind: type[CarbonError]
) -> None:
    def run(argv: Any, *_: Any, environment: Any, **__: Any) -> RunRecord:
        Path(environment["CARBON_RESULT"]).write_text(written)
        return record(code)

    monkeypatch.setattr(blocks_of, "run_command", run)
    commands = {"baseline": [sys.executable], "treatment": [sys.executable]}
    with pytest.raises(kind):
        run_blocks(commands, "w", {}, blocks=2, warm_up=0, options=None)  # type: ignore[arg-type]
