"""What the bench makes of Lighthouse's report, and that it says where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CalledProcessError, TimeoutExpired
from types import SimpleNamespace
from typing import Any, cast

import pytest

from carbon.bench.serving import Service
from carbon.bench.web import lighthouse as module
from carbon.bench.web.lighthouse import lighthouse

SERVED = cast(Service, SimpleNamespace(url="http://127.0.0.1:1", key="k"))


def with_reports(
    monkeypatch: pytest.MonkeyPatch, scores: dict[str, tuple[float, float]], led_to: str = ""
) -> list[list[str]]:
    """A program that writes a report of a page as Lighthouse does; answers what it was called."""
    called = []

    def run(command: list[str], **_: Any) -> None:
        called.append(command)
        path = command[1].removeprefix(SERVED.url)
        performance, accessibility = scores[path]
        categories = {"performance": performance, "accessibility": accessibility}
        report = {
            "finalDisplayedUrl": led_to or command[1],
            "categories": {name: {"score": score} for name, score in categories.items()},
        }
        [told] = [one.partition("=")[2] for one in command if one.startswith("--output-path=")]
        Path(told).write_text(json.dumps(report), "utf-8")

    monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(module.subprocess, "run", run)
    return called


def test_the_least_score_of_the_pages_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    called = with_reports(monkeypatch, {"/": (0.99, 1.0), "/fleet": (0.9, 0.97)})
    performance, accessibility = lighthouse(SERVED, "/bin/chromium", ["/", "/fleet"])
    assert (performance.value, performance.met) == (90.0, False)
    assert "/fleet" in str(performance.note)
    assert (accessibility.value, accessibility.met) == (97.0, True)
    assert not any("Bearer" in word for command in called for word in command)


def test_a_page_that_leads_to_the_sign_in_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    with_reports(monkeypatch, {"/": (1.0, 1.0)}, f"{SERVED.url}/sign-in")
    with pytest.raises(RuntimeError, match="sign-in"):
        lighthouse(SERVED, "/bin/chromium", ["/"])


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (CalledProcessError(1, "lighthouse", stderr=b"Unable to connect to Chrome\n"), "Chrome"),
        (TimeoutExpired("lighthouse", 180), "180 s"),
    ],
)
def test_where_it_fails_the_figures_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def run(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(module.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(module.subprocess, "run", run)
    figures = lighthouse(SERVED, "/bin/chromium", ["/"])
    assert [(figure.value, figure.met) for figure in figures] == [(None, None)] * 2
    assert all(why in str(figure.note) for figure in figures)


def test_without_the_program_the_figures_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "which", lambda _: None)
    figures = lighthouse(SERVED, "/bin/chromium", ["/"])
    assert [(figure.value, figure.met) for figure in figures] == [(None, None)] * 2
    assert all("npm" in str(figure.note) for figure in figures)
