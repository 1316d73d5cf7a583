"""`carbon import prometheus|sacct|focus`, `carbon intensity backfill`: what cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ended

Carbon = Callable[..., Ended]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--url", "nope", "--since", "6h"), "http://HOST:9090"),
        (("--url", "http://p:9090", "--since", "soon"), "soon"),
        (("--url", "http://p:9090", "--since", "6h", "--step", "10ms"), "--step"),
        (("--url", "http://p:9090", "--since", "6h", "--mapping", "none.toml"), "none.toml"),
    ],
)
def test_an_import_from_prometheus_that_cannot_be_meant(
    carbon: Carbon, arguments: tuple[str, ...], told: str
) -> None:
    assert told in carbon("import", "prometheus", *arguments).failed(2)


def test_names_that_lead_in_a_circle(carbon: Carbon, tmp_path: Path) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text('[alias]\n"a/b" = "a/c"\n"a/c" = "a/b"\n')
    asked = ("--url", "http://p:9090", "--since", "6h", "--mapping", file)
    assert "a/b = a/c = a/b" in carbon("import", "prometheus", *asked).failed(2)


@pytest.mark.parametrize("verb", ["sacct", "focus"])
def test_files_that_are_not_there_or_something_else(
    carbon: Carbon, tmp_path: Path, verb: str
) -> None:
    assert "cannot read" in carbon("import", verb, tmp_path / "none").failed(2)
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    assert "no column" in carbon("import", verb, other).failed(2)


def test_a_time_zone_that_nobody_has(carbon: Carbon, tmp_path: Path) -> None:
    file = tmp_path / "jobs"
    file.write_text("JobID|Account|Start|End|NodeList\n")
    assert "Mars" in carbon("import", "sacct", file, "--timezone", "Mars/Base").failed(2)


def test_nowhere_to_bring_it_to(carbon: Carbon, tmp_path: Path) -> None:
    file = tmp_path / "jobs"
    file.write_text("JobID|Account|Start|End|NodeList\n")
    assert "no server" in carbon("import", "sacct", file).failed(1)
