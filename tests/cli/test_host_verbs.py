"""`carbon host` as a user types it; what it asks of the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended

import carbon.client

Carbon = Callable[..., Ended]


class FakeClient:
    """Keeps what was asked; one host is known."""

    asked: list[dict[str, Any]]

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None: ...

    def hosts(self, **_query: object) -> dict[str, Any]:
        return {"hosts": [self._host("node1")], "completeness": 0.5, "silent": 1}

    def add_host(self, **members: Any) -> dict[str, Any]:
        FakeClient.asked.append(members)
        return self._host(members["name"])

    def _host(self, name: str) -> dict[str, Any]:
        facts = dict.fromkeys(("site", "zone", "pue", "owner", "completeness"))
        return {"name": name, **facts, "devices": 0, "state": "silent"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    FakeClient.asked = []
    monkeypatch.setattr(carbon.client, "Client", FakeClient, raising=False)
    return FakeClient.asked


def test_add_is_for_all_time_and_set_from_now_on(carbon: Carbon, asked: list[Any]) -> None:
    assert carbon("host", "add", "node1", "--zone", "DE").code == 0
    assert carbon("host", "set", "node1", "--zone", "FR").code == 0
    assert (
        carbon("host", "set", "node1", "--zone", "GB", "--from", "2026-01-01T00:00:00Z").code == 0
    )
    assert "valid_from" not in asked[0]
    assert asked[1]["valid_from"] > "2026"
    assert asked[2]["valid_from"] == "2026-01-01T00:00:00Z"


def test_a_host_that_is_not_known_is_neither_set_nor_retired(
    carbon: Carbon, asked: list[Any]
) -> None:
    for verb in ("set", "retire"):
        ended = carbon("host", verb, "node2")
        assert (ended.code, ended.err.count("\n")) == (1, 1)
        assert "did you mean node1?" in ended.err
    assert asked == []


def test_retire_says_until_when(carbon: Carbon, asked: list[Any]) -> None:
    assert carbon("host", "retire", "node1", "--at", "2026-12-31T00:00:00Z").code == 0
    assert asked == [{"name": "node1", "retired": "2026-12-31T00:00:00Z"}]


def test_an_import_stores_each_and_a_dry_run_none(
    carbon: Carbon, asked: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "hosts.csv"
    file.write_text("name,zone\nnode1,DE\nnode2,\n")
    dry = carbon("host", "import", "csv", file, "--zone", "FR", "--dry-run", "--json")
    assert (dry.code, dry.json["new"], dry.json["stored"], asked) == (0, 1, False, [])
    assert carbon("host", "import", "csv", file, "--zone", "FR").code == 0
    assert asked == [{"zone": "DE", "name": "node1"}, {"zone": "FR", "name": "node2"}]


def test_a_command_that_is_not_there_is_one_line(
    carbon: Carbon, asked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    ended = carbon("host", "import", "kubernetes")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "kubectl" in ended.err


def test_a_list_that_slurm_printed_is_read_as_slurms(
    carbon: Carbon, asked: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "nodes"
    file.write_text("NodeName=gpu-a01 Arch=x86_64 CoresPerSocket=32\n   State=IDLE\n")
    assert carbon("host", "import", "slurm", file, "--zone", "DE", "--owner", "hpc").code == 0
    assert [(host["name"], host["zone"], host["owner"]) for host in asked] == [
        ("gpu-a01", "DE", "hpc")
    ]


def test_a_csv_is_named_and_no_other_inventory_known(carbon: Carbon, asked: list[Any]) -> None:
    assert "carbon host import csv FILE" in carbon("host", "import", "csv").failed(2)
    assert carbon("host", "import", "nomad").code == 2
    assert asked == []
