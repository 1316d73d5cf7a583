"""`carbon playbook run`: what it shows as it goes, what it writes, and how little it tries out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import call

import carbon.client
from carbon.domain.experiments.techniques import Technique
from carbon.errors import CarbonError
from carbon.playbook import runner, techniques
from carbon.playbook.comparison import Comparison, Done, NotRun
from carbon.playbook.device import CPU, Device
from carbon.playbook.runner import Pace, Recorder

SCI = {"baseline": 2.0, "treatment": 1.0, "relative": -0.5, "relative_low": -0.6,
       "relative_high": -0.4}  # fmt: skip


def comparison(title: str = "t", device: Device = CPU) -> Comparison:
    def work(rounds: int) -> Done:
        return Done({"request": rounds})

    return Comparison(title, {}, work, work, {"n": 1}, {"n": 2}, ["request"], device=device)


# Turns of a block


@pytest.mark.parametrize("turn_s", [1e-6, 1e-3, 0.02, 0.3, 5.0])
def test_a_block_is_as_long_as_asked_and_little_is_tried_out(
    monkeypatch: pytest.MonkeyPatch, turn_s: float
) -> None:
    """The slower arm takes three times as long as the other."""
    tried: list[float] = []
    both = comparison()
    costs = {id(both.baseline): 1.0}
    slower = Comparison("t", {}, both.baseline, lambda n: Done({"request": n}), {}, {}, ["request"])

    def seconds(work: Any, rounds: int, _: Device) -> float:
        tried.append(rounds * turn_s * (costs.get(id(work), 3.0) / 3.0))
        return tried[-1]

    monkeypatch.setattr(runner, "_seconds", seconds)
    recorder = Recorder(None, None, Pace(block_s=2.0))  # type: ignore[arg-type]
    rounds = recorder._rounds(slower)
    assert rounds == max(1, round(2.0 / turn_s))
    assert sum(tried) <= max(2.0, 2 * turn_s)
    assert len(tried) <= 2 * 5


def test_a_block_has_the_length_of_its_device_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_seconds", lambda _work, rounds, _device: rounds * 0.1)
    slow = Device("cuda", lambda: None, block_s=3.0)
    for pace, device, turns in (
        (Pace(), CPU, 10), (Pace(), slow, 30), (Pace(block_s=0.5), slow, 5),
    ):  # fmt: skip
        recorder = Recorder(None, None, pace)  # type: ignore[arg-type]
        assert recorder._rounds(comparison(device=device)) == turns


def test_repeats_try_nothing_out_again_and_make_the_treatment_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps: list[str] = []
    said: list[str] = []
    recorder = Recorder(None, None, Pace(), said.append)  # type: ignore[arg-type]
    monkeypatch.setattr(recorder, "_rounds", lambda _: steps.append("tried") or 7)
    monkeypatch.setattr(recorder, "_costs", lambda *_: steps.append("made") or [])

    def compared(*asked: Any) -> Iterator[dict[str, Any]]:
        steps.append(f"blocks of {asked[3]}")
        yield {}

    monkeypatch.setattr(recorder, "_compared", compared)
    told = list(recorder.record(Technique.PRUNING, comparison("half"), times=3))
    assert (len(told), steps) == (3, ["made", "tried", *["blocks of 7"] * 3])
    assert said == ["pruning: half", "  1 of 3", "  2 of 3", "  3 of 3"]


# The verb


class Recording:
    """Stands for the recorder: tells, finds, and where it is asked to, fails at the end."""

    fails = False

    def __init__(self, _client: Any, _options: Any, pace: Pace, tell: Any) -> None:
        self.tell = tell

    def record(self, technique: Technique, found: Comparison) -> Iterator[dict[str, Any]]:
        self.tell(f"{technique}: {found.title}")
        yield {"id": "exp_1", "technique": technique, "title": found.title, "unit": "request",
               "verdict": "saves", "quality_metric": "accuracy",
               "baseline": {"methods": ["counter"]},
               "deltas": {"sci": SCI, "quality": {"value": -0.25}}}  # fmt: skip
        if self.fails:
            raise CarbonError("not_measured", "the agent went away")


class Entry:
    technique, what, needs_torch, is_ready = Technique.QUANTISATION, "int8", False, True

    def comparisons(self, *_: Any) -> list[Comparison | NotRun]:
        return [comparison("bf16 for fp32"), NotRun("int8 for fp32", "no such layers")]


class Client:
    url = "http://carbon"

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        pass


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carbon.client, "Client", Client)
    monkeypatch.setattr(runner, "Recorder", Recording)
    monkeypatch.setattr(techniques, "ENTRIES", (Entry(),))


@pytest.mark.usefixtures("played")
def test_each_verdict_links_its_page_and_what_was_not_run_is_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "playbook.md"
    ended = call(capfd, "playbook", "run", "all", "--out", str(page))
    assert ended.code == 0
    assert "http://carbon/experiments/exp_1" in ended.out
    assert "not run       int8 for fp32: no such layers" in ended.out
    assert "1 of 1: quantisation, int8" in ended.out
    assert "quantisation: bf16 for fp32" in ended.err
    assert "\n1 experiments in" in ended.out
    written = page.read_text()
    assert "1 experiments" in written
    assert "models on cpu" in written
    assert "| quantisation | int8 for fp32 | | not run: no such layers | | |" in written
    assert "-50.0% (95 %: -60.0% to -40.0%) | accuracy -0.250 |" in written


@pytest.mark.usefixtures("played")
def test_json_is_one_line_and_the_rest_goes_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    ended = call(capfd, "playbook", "run", "all", "--json")
    assert len(ended.out.splitlines()) == 1
    told = ended.json
    assert (len(told["experiments"]), told["device"]) == (1, "cpu")
    assert told["not_run"] == [
        {"technique": "quantisation", "title": "int8 for fp32", "why": "no such layers"}
    ]
    assert "saves" in ended.err


@pytest.mark.usefixtures("played")
def test_what_was_found_is_written_whatever_ended_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Recording, "fails", True)
    page = tmp_path / "playbook.md"
    ended = call(capfd, "playbook", "run", "all", "--out", str(page))
    assert (ended.code, "the agent went away" in ended.err) == (1, True)
    assert "| quantisation | bf16 for fp32 | request | saves |" in page.read_text()
