"""A backup is one instant of the ledger, whole, and never overwrites."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.storage import backup
from carbon.storage.backup import check, copy, sqlite_file


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE team (id INTEGER PRIMARY KEY)")
        made.execute("CREATE TABLE row (team INTEGER REFERENCES team (id), mj INTEGER)")
        made.execute("INSERT INTO team VALUES (1)")
        made.executemany("INSERT INTO row VALUES (1, ?)", [(i,) for i in range(5000)])
        made.commit()
    return file


def test_a_backup_under_a_writer_holds_what_was_committed(ledger: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(ledger)) as writer:
        writer.execute("INSERT INTO row VALUES (1, 7)")  # not committed
        rows = copy(ledger, tmp_path / "saved" / "b.db")
    assert rows == {"team": 1, "row": 5000} == check(tmp_path / "saved" / "b.db")
    assert [p.name for p in (tmp_path / "saved").iterdir()] == ["b.db"]


def test_a_copy_never_overwrites(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"mine")
    with pytest.raises(Conflicting, match="exists already"):
        copy(ledger, tmp_path / "b.db")
    assert (tmp_path / "b.db").read_bytes() == b"mine"


def test_a_log_left_behind_is_not_played_into_a_copy(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "b.db-wal").write_bytes(b"old")
    with pytest.raises(Conflicting, match=r"b\.db-wal exists"):
        copy(ledger, tmp_path / "b.db")


def test_what_is_absent_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        copy(tmp_path / "none.db", tmp_path / "b.db")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_told_and_not_copied(ledger: Path, tmp_path: Path) -> None:
    content = bytearray(ledger.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    ledger.write_bytes(content)
    with pytest.raises(CarbonError, match="damaged"):
        check(ledger)
    with pytest.raises(CarbonError, match="damaged"):
        copy(ledger, tmp_path / "b.db")
    assert not (tmp_path / "b.db").exists()


def test_a_reference_to_nothing_is_damage(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as writer:
        writer.execute("INSERT INTO row VALUES (2, 7)")
        writer.commit()
    with pytest.raises(CarbonError, match="a row of row names a row of team"):
        check(ledger)


def test_postgresql_is_sent_to_its_own_tools() -> None:
    with pytest.raises(InvalidInput, match="pg_amcheck"):
        sqlite_file("postgresql+psycopg://localhost/carbon")


def test_what_is_no_url_is_told_so() -> None:
    with pytest.raises(InvalidInput, match="must begin with sqlite:///"):
        sqlite_file("ledger.db")


def test_a_backup_is_for_its_owner_alone(ledger: Path, tmp_path: Path) -> None:
    copy(ledger, tmp_path / "b.db")
    assert stat.S_IMODE((tmp_path / "b.db").stat().st_mode) == 0o600


def test_a_folder_that_takes_no_file_is_named(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for needed in ("unlink", "touch"):
        monkeypatch.setattr(Path, needed, refused)
    with pytest.raises(CarbonError, match="Read-only file system") as error:
        copy(ledger, tmp_path / "b.db")
    assert error.value.code == "copy_failed"


def test_a_file_that_cannot_be_got_at_is_not_called_damaged(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SQLite does with a file that has a log, on a medium that takes no companion of it."""

    def shut(*_: object) -> None:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(backup, "_rows", shut)
    with pytest.raises(CarbonError, match=r"cannot read .*unable to open") as error:
        check(ledger)
    assert error.value.code == "database_not_readable"
