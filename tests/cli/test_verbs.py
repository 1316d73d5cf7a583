"""What the verbs say without a server, of wrong arguments, and of the database and its keys."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ended
from sqlalchemy import text

from carbon import __version__
from carbon.auth.keys import principal_of_key
from carbon.clock import SystemClock
from carbon.domain.tenancy import ADMIN_SCOPES, AGENT_SCOPES, TEAM_SCOPES
from carbon.services.context import Context
from carbon.settings import Settings
from carbon.storage.engine import create_engine, reading, writing
from carbon.storage.migrations import current_revision, head_revision, upgrade

Carbon = Callable[..., Ended]
VERBS = [
    *("up", "serve", "agent", "run", "submit", "jobs", "now", "sci", "intensity", "simulate"),
    *("import", "key", "db", "wait", "host", "scheduler", "experiment", "playbook"),
    *("top", "report", "factors", "export", "audit", "bench", "doctor", "budget"),
]


def test_help_lists_the_verbs(carbon: Carbon) -> None:
    ended = carbon("--help")
    assert ended.code == 0
    words = ended.out.split()
    assert [verb for verb in VERBS if verb not in words] == []


def test_it_says_its_version(carbon: Carbon) -> None:
    ended = carbon("--version")
    assert (ended.code, ended.out) == (0, f"carbon {__version__}\n")


def test_without_arguments_it_helps(carbon: Carbon) -> None:
    ended = carbon()
    assert "Usage" in ended.out + ended.err


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_helps(carbon: Carbon, verb: str) -> None:
    ended = carbon(verb, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "Usage" in ended.out


def test_the_command_is_installed_and_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "carbon", "--help"], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage" in ended.stdout


NEEDS_A_SERVER = [
    ("sci", "chat"),
    ("sci", "chat", "--json"),
    ("intensity", "now", "DE"),
    ("intensity", "forecast", "DE"),
    ("jobs", "list"),
    ("jobs", "show", "job_1"),
    ("jobs", "cancel", "job_1"),
    ("jobs", "deadline", "job_1", "6h"),
    ("now", "job_1"),
    ("host", "list"),
    ("scheduler", "status"),
    ("scheduler", "pause", "--reason", "r"),
    ("scheduler", "resume"),
    ("scheduler", "pools"),
    ("scheduler", "pool", "gpu", "--capacity", "8"),
    ("budget", "list"),
    ("budget", "set", "100"),
    ("key", "people"),
    ("key", "invite", "ada", "--role", "viewer"),
    ("intensity", "quarantine", "DE"),
    ("host", "add", "gpu-1", "--zone", "DE"),
    ("submit", "--deadline", "6h", "--", "true"),
]


@pytest.mark.parametrize("arguments", NEEDS_A_SERVER, ids=" ".join)
def test_without_a_server_it_is_one_line_that_names_the_mend(
    carbon: Carbon, arguments: tuple[str, ...]
) -> None:
    assert "carbon up" in carbon(*arguments).failed(1)


@pytest.mark.parametrize("arguments", NEEDS_A_SERVER[:3], ids=" ".join)
def test_so_it_is_where_the_server_is_gone(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CARBON_URL", "http://127.0.0.1:1")
    assert "http://127.0.0.1:1" in carbon(*arguments).failed(1)


def test_a_wrong_setting_is_one_line_and_no_traceback(
    carbon: Carbon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARBON_PORT", "eighty")
    assert "CARBON_PORT" in carbon("sci", "chat").failed(2)


MISUSED = [
    ("nonsense",),
    ("run",),
    ("run", "--workload", "w"),
    ("run", "--", "true"),
    ("run", "--workload"),
    ("sci",),
    ("sci", "a", "b"),
    ("sci", "a", "--colour", "red"),
    ("submit", "--", "true"),
    ("jobs", "nonsense"),
    ("up", "--port", "0"),
    ("up", "--port", "http"),
    ("intensity", "forecast", "DE", "--hours", "0"),
    ("key", "create"),
]


@pytest.mark.parametrize("arguments", MISUSED, ids=" ".join)
def test_arguments_that_cannot_be_meant_end_with_2(
    carbon: Carbon, arguments: tuple[str, ...]
) -> None:
    carbon(*arguments).misused()


@pytest.mark.parametrize(
    "options",
    [
        ("--workload", "a/b/c"),
        ("--workload", ""),
        ("--workload", "w", "--unit", "request"),
        ("--workload", "w", "--unit", "request=many"),
        ("--workload", "w", "--unit", "request=-5"),
        ("--workload", "w", "--unit", "=5"),
    ],
    ids=" ".join,
)
def test_a_run_that_cannot_be_meant_ends_with_2_and_runs_nothing(
    carbon: Carbon, tmp_path: Path, options: tuple[str, ...]
) -> None:
    proof = tmp_path / "ran"
    carbon("run", *options, "--", "touch", proof).failed(2)
    assert not proof.exists()


def test_a_length_that_is_none_ends_with_2(carbon: Carbon) -> None:
    carbon("submit", "--deadline", "6h", "--length", "long", "--", "true").failed(2)


def opened(data_dir: Path) -> Context:
    settings = Settings(data_dir=data_dir)
    return Context(create_engine(settings.database_url), settings, SystemClock())


def test_a_key_is_made_and_holds(carbon: Carbon, nowhere: Path) -> None:
    made = carbon("key", "create", "--name", "ci", "--team", "blue", "--json").json
    assert made.keys() == {"key_id", "key", "scopes"}
    holder = principal_of_key(opened(nowhere), made["key"])
    assert (holder.key_id, holder.name, holder.team) == (made["key_id"], "ci", "blue")
    assert sorted(holder.scopes) == made["scopes"] == sorted(TEAM_SCOPES)


@pytest.mark.parametrize(
    ("option", "scopes"), [("--admin", ADMIN_SCOPES), ("--agent", AGENT_SCOPES)]
)
def test_a_key_may_be_everybody_s_or_an_agent_s(
    carbon: Carbon, option: str, scopes: frozenset[str]
) -> None:
    made = carbon("key", "create", "--name", "n", option, "--json").json
    assert made["scopes"] == sorted(scopes)


def test_without_json_only_the_key_is_printed(carbon: Carbon, nowhere: Path) -> None:
    ended = carbon("key", "create", "--name", "n")
    assert (ended.code, ended.err) == (0, "")
    assert principal_of_key(opened(nowhere), ended.out.strip()).name == "n"


def test_keys_are_listed_without_their_secrets_and_revoked(carbon: Carbon) -> None:
    made = carbon("key", "create", "--name", "n", "--json").json
    listed = carbon("key", "list", "--json")
    assert made["key"] not in listed.out
    (row,) = listed.json["keys"]
    assert (row["key_id"], row["name"], row["revoked"]) == (made["key_id"], "n", None)
    assert carbon("key", "revoke", made["key_id"]).code == 0
    (row,) = carbon("key", "list", "--json").json["keys"]
    assert row["revoked"] is not None
    carbon("key", "revoke", "nothing").failed(1)


def test_the_database_is_brought_to_the_newest_schema(carbon: Carbon, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.db'}"
    ended = carbon("db", "upgrade", "--db", url)
    assert ended.code == 0
    assert head_revision() in ended.out
    with reading(create_engine(url)) as connection:
        assert current_revision(connection) == head_revision()
    assert carbon("db", "upgrade", "--db", url).code == 0


def test_it_is_made_in_the_data_folder_where_none_is_named(carbon: Carbon, nowhere: Path) -> None:
    assert carbon("db", "upgrade").code == 0
    assert (nowhere / "carbon.db").exists()


def test_a_newer_database_is_refused_in_one_line(carbon: Carbon, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'newer.db'}"
    engine = create_engine(url)
    upgrade(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'tomorrow'"))
    assert "upgrade carbon" in carbon("db", "upgrade", "--db", url).failed(1)


def test_a_url_of_another_database_ends_with_2(carbon: Carbon) -> None:
    assert "sqlite:///" in carbon("db", "upgrade", "--db", "mysql://x/y").failed(2)


def test_a_database_that_cannot_be_written_is_one_line(carbon: Carbon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    url = f"sqlite:///{tmp_path / 'file' / 'carbon.db'}"
    assert "--data-dir" in carbon("db", "upgrade", "--db", url).failed(1)


def test_a_data_folder_that_cannot_be_made_is_one_line(carbon: Carbon, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    carbon("key", "create", "--name", "n", "--data-dir", tmp_path / "file" / "data").failed(1)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_the_data_folder_is_the_user_s_alone(carbon: Carbon, nowhere: Path) -> None:
    carbon("key", "create", "--name", "n")
    assert nowhere.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("option", ["--scope", "--signal", "--unit"])
def test_an_import_of_another_kind_of_intensity_is_one_line(
    carbon: Carbon, tmp_path: Path, option: str
) -> None:
    file = tmp_path / "zones.csv"
    file.write_text("time,DE\n2026-01-01T00:00:00Z,300\n2026-01-01T01:00:00Z,310\n")
    told = carbon("import", "intensity", file, "--zone", "DE", option, "foo").misused()
    assert option in told
