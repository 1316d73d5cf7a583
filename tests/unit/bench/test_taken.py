"""A bench shows each figure as it is taken, and what was taken survives a signal."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator

import pytest
from command_line import call

from carbon.bench.experiment import PARTS, gates, measure, played, recommended, simulated
from carbon.bench.figure import Figure, Options, at_least, reported

FIRST, SECOND = reported("first", 1, "s"), at_least("second", 2, "of 3", 3)


def simulation(monkeypatch: pytest.MonkeyPatch, figures: Callable[[], Iterator[Figure]]) -> None:
    monkeypatch.setattr(simulated, "errors", lambda _runs: figures())


def test_each_figure_is_shown_before_the_next_is_taken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []

    def figures() -> Iterator[Figure]:
        yield FIRST
        shown.append(capfd.readouterr().err)
        yield SECOND

    simulation(monkeypatch, figures)
    ended = call(capfd, "bench", "experiment", "--part", "simulation", "--json")
    assert "first" in shown[0]
    assert "second" not in shown[0]
    assert (ended.code, "NOT MET" in ended.err) == (1, True)
    body = json.loads(ended.out)
    assert [figure["name"] for figure in body["figures"]] == ["first", "second"]
    assert "interrupted" not in body


def test_for_people_the_figures_are_the_output(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    simulation(monkeypatch, lambda: iter([FIRST]))
    ended = call(capfd, "bench", "experiment", "--part", "simulation")
    assert (ended.code, len(ended.out.splitlines()), ended.err) == (0, 2, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_what_was_taken(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    cleaned: list[str] = []

    def figures() -> Iterator[Figure]:
        try:
            yield FIRST
            os.kill(os.getpid(), number)
            yield SECOND
        finally:
            cleaned.append("stopped what it started")

    # What a shell starts in the background is told to ignore SIGINT: these tests too, perhaps.
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, ignored))
    before = signal.getsignal(signal.SIGTERM)
    simulation(monkeypatch, figures)
    ended = call(capfd, "bench", "experiment", "--part", "simulation", "--json")
    body = json.loads(ended.out)
    assert (ended.code, body["interrupted"]) == (130, True)
    assert [figure["name"] for figure in body["figures"]] == ["first"]
    assert (cleaned, signal.getsignal(signal.SIGTERM)) == (["stopped what it started"], before)


def test_a_part_takes_its_own_figures_alone(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    taken: list[str] = []

    def of(part: str) -> Callable[..., Iterator[Figure]]:
        return lambda *_: iter(taken.append(part) or [reported(part, 1, "")])

    monkeypatch.setattr(simulated, "errors", of("simulation"))
    monkeypatch.setattr(gates, "harm", of("gates"))
    monkeypatch.setattr(recommended, "recommended", of("recommendations"))
    monkeypatch.setattr(recommended, "generated_year", lambda *_: iter(()))
    monkeypatch.setattr(played, "controls", of("controls"))
    monkeypatch.setattr(played, "all_ten", of("playbook"))
    for part in PARTS:
        taken.clear()
        figures = list(measure(Options(part=part)))
        assert ([figure.name for figure in figures], taken) == ([part], [part])
    taken.clear()
    list(measure(Options()))
    assert taken == list(PARTS)
    assert "simulation" in call(capfd, "bench", "experiment", "--part", "magic").failed(2)


def test_the_simulated_figures_keep_their_targets() -> None:
    found = {figure.name: figure for figure in simulated.errors(200)}
    assert len(found) == 5
    assert all(figure.met for figure in found.values())


def test_an_unfair_treatment_is_stopped_and_a_harmless_one_is_not() -> None:
    stopped, passed = gates.harm(2)
    assert (stopped.met, passed.value) == (True, 100.0)
