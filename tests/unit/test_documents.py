"""The papers speak of what is there: files, calls, codes, verbs and options."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.main import get_command

import carbon.cli
from carbon.app import create_app
from carbon.clock import FakeClock
from carbon.services.context import Context
from carbon.settings import Settings

REPO = Path(__file__).resolve().parents[2]
PAPERS = sorted([REPO / "README.md", REPO / "CHANGELOG.md", *(REPO / "docs").rglob("*.md")])
SHELLS = {"sh", "console", "bash"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(paper: Path) -> str:
    return str(paper.relative_to(REPO))


def prose(text: str) -> str:
    return _FENCE.sub("", text)


# Links


def relative_links(text: str) -> list[str]:
    links = (link.partition("#")[0] for link in _LINK.findall(prose(text)))
    return [link for link in links if link and "://" not in link and not link.startswith("mailto:")]


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_relative_link_leads_somewhere(paper: Path) -> None:
    links = relative_links(paper.read_text("utf-8"))
    assert [link for link in links if not (paper.parent / link).exists()] == []


def test_a_link_is_found_with_its_anchor_and_outside_of_code_alone() -> None:
    text = "see [a](b.md#c) and [d](https://e.org)\n```sh\necho [x](y)\n```\n"
    assert relative_links(text) == ["b.md"]


# The command line


def commands(text: str) -> Iterator[list[str]]:
    """The words after `carbon` wherever a paper writes a command: in code of a shell, and in
    code within a sentence."""
    for language, code in _FENCE.findall(text):
        if language in SHELLS:
            joined = code.replace("\\\n", " ")
            for match in re.finditer(r"(?:^|\$ |\$\()carbon ([^#)\n]*)", joined, re.MULTILINE):
                if not match.group(1).startswith("is "):  # what the server prints
                    yield shlex.split(match.group(1))
    for code in re.findall(r"`carbon ([^`]+)`", prose(text)):
        yield code.replace("…", "").split()


def unknown_in(words: list[str]) -> str | None:
    """The first verb or option of a command line that the CLI does not have."""
    command: Any = COMMAND
    for word in words:
        if word == "--":
            return None
        if word.startswith("--"):
            names = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
            if word.partition("=")[0] not in names:
                return word
        elif verbs := getattr(command, "commands", None):
            if word not in verbs:
                return None if word.isupper() else word  # NAME stands for a verb
            command = verbs[word]
    return None


carbon.cli._register()
COMMAND = get_command(carbon.cli.app)


@pytest.mark.parametrize("paper", PAPERS, ids=name_of)
def test_every_command_of_a_paper_exists(paper: Path) -> None:
    wrong = [
        (words, bad) for words in commands(paper.read_text("utf-8")) if (bad := unknown_in(words))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("line", "unknown"),
    [
        ("jobs show JOB", None),
        ("submit --deadline 6h -- python --no-such-option", None),
        ("fly", "fly"),
        ("jobs fly", "fly"),
        ("run --workloads demo", "--workloads"),
    ],
)
def test_what_the_command_line_lacks_is_told(line: str, unknown: str | None) -> None:
    assert unknown_in(line.split()) == unknown


def test_the_papers_do_write_commands() -> None:
    written = [words[0] for paper in PAPERS for words in commands(paper.read_text("utf-8"))]
    assert {"up", "run", "submit", "simulate", "key"} <= set(written)


# The calls


API = (REPO / "docs" / "api.md").read_text("utf-8")


@pytest.fixture
def calls(memory: Engine, tmp_path: Path) -> set[tuple[str, str]]:
    settings = Settings(data_dir=tmp_path, feeds=False)
    app = create_app(Context(memory, settings, FakeClock()), background=False)
    paths = app.openapi()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_the_page_of_the_api_names_every_call_and_no_other(calls: set[tuple[str, str]]) -> None:
    written = set(re.findall(r"\b(GET|POST|PATCH|DELETE|PUT) (/[\w/{}.-]*)", API))
    assert written == calls


def test_every_error_code_of_the_page_is_one_of_the_code() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (REPO / "carbon").rglob("*.py"))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", API))
    named = {name.removesuffix("_total") for name in named}  # which Prometheus adds
    assert sorted(named - set(re.findall(r"\w+", code))) == []


def test_every_code_that_a_caller_may_meet_stands_on_the_page() -> None:
    """Of all that the server's rooms raise; those of commands and of pages are not calls."""
    rooms = ("api", "auth", "services", "wire")
    raised = re.compile(r"(?:InvalidInput|NotFound|Conflicting|Forbidden)\(\s*\"([a-z_]+)\"")
    paths = [path for room in rooms for path in (REPO / "carbon" / room).rglob("*.py")]
    codes = {code for path in paths for code in raised.findall(path.read_text("utf-8"))}
    by_command = {"unknown_key", "memory_database"}  # of `carbon key revoke`, `carbon db restate`
    pages = (REPO / "docs" / "pages.md").read_text("utf-8")
    told = {code for code in codes if f"`{code}`" in API or f"`{code}`" in pages}
    assert sorted(codes - by_command - told) == []


# The rooms

#: Rooms whose row names modules and nothing else.
ROOMS = (
    *("api", "web", "scheduler", "auth", "services", "collect", "imports"),
    *("planning", "storage", "grid", "executors", "domain"),
)


@pytest.mark.parametrize("room", ROOMS)
def test_every_module_that_the_plan_names_stands_in_its_room(room: str) -> None:
    plan = (REPO / "docs" / "architecture.md").read_text("utf-8")
    row = re.search(rf"^\| `{room}` \| (.*) \|$", plan, re.MULTILINE)
    assert row is not None
    modules = {path.stem for path in (REPO / "carbon" / room).glob("*.py")}
    assert set(re.findall(r"`(\w+)`", row[1])) - modules == set()


# Nothing of a machine


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=REPO, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: nothing says which files are ours")
    paths = (REPO / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file() and "vendor" not in path.parts]


def texts() -> Iterator[tuple[str, str]]:
    for path in tracked_files():
        try:
            yield name_of(path), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # a picture


def test_every_test_that_a_paper_names_is_there() -> None:
    there = {
        name
        for path in (REPO / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }
    named = {
        (name_of(paper), name)
        for paper in PAPERS
        for name in re.findall(r"`(test_\w+)`", paper.read_text("utf-8"))
    }
    assert sorted(one for one in named if one[1] not in there) == []


def test_no_file_names_a_path_of_the_machine_that_it_was_written_on() -> None:
    """This checkout, this user's home, and anybody's but that of the example."""
    here = [str(path) for path in (REPO, Path.home()) if len(path.parts) > 1]
    machine = re.compile(
        "|".join([*(re.escape(p) + "/" for p in here), "/(?:home|Users)/(?!ana/)\\w"])
    )
    assert [(name, found[0]) for name, text in texts() if (found := machine.search(text))] == []


def test_no_file_names_the_address_of_a_package_registry() -> None:
    hosts = ("pypi", "pythonhosted", "npmjs", "jsdelivr", "unpkg", "yarnpkg", "conda")
    address = re.compile(rf"(?:{'|'.join(hosts)})\.(?:org|com|io|net)|(?:extra-)?index" + "-url")
    assert [(name, found[0]) for name, text in texts() if (found := address.search(text))] == []
