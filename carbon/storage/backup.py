"""Copies of a SQLite ledger, made while it is in use, and what proves that they are whole."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from carbon.errors import CarbonError, Conflicting, InvalidInput, NotFound
from carbon.storage.engine import parsed_url


def sqlite_file(url: str) -> Path:
    """The file behind `url`. Raises InvalidInput(`database_url`) for any other database."""
    parsed = parsed_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise InvalidInput(
            "database_url",
            "this is for a SQLite file alone; pg_amcheck checks the pages of PostgreSQL",
        )
    return Path(str(parsed.database))


def check(file: Path) -> dict[str, int]:
    """Rows by table of a whole database.

    Raises NotFound(`database_file`), or CarbonError(`database_damaged`) with the first finding.
    """
    with closing(_opened(file)) as connection:
        try:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
            rows = _rows(connection)
        except sqlite3.DatabaseError as error:
            raise _unread(file, error) from error
    if found != "ok":
        raise _damaged(file, found)
    if orphan:
        raise _damaged(file, f"a row of {orphan[0]} names a row of {orphan[2]} that is absent")
    return rows


def copy(source: Path, target: Path) -> dict[str, int]:
    """Copies one instant of `source` to the new file `target`, and answers its rows by table.

    `target` gets its name only once the copy is checked and has the same rows. It is for its owner
    alone to read: a ledger names people, and holds what jobs were given as environment.
    Raises Conflicting(`file_exists`), since a backup never overwrites, and what `check` raises.
    """
    # A log that an older database left behind would be played into the copy.
    for taken in (target, *(target.with_name(target.name + end) for end in ("-wal", "-journal"))):
        if taken.exists():
            raise Conflicting("file_exists", f"{taken} exists already; move it or name a new file")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(0o600)
        expected, energy = _copied(source, part)
        if check(part) != expected:
            raise _damaged(part, "the copy has other rows than its source")
        with closing(_opened(part)) as copied:
            if _energy(copied) != energy:
                raise _damaged(part, "the copy sums to another energy than its source")
        os.link(part, target)  # unlike a rename, refuses a file that came meanwhile
    except FileExistsError as error:
        raise Conflicting("file_exists", f"{target} exists already; name a new file") from error
    except (OSError, sqlite3.Error) as error:
        raise CarbonError("copy_failed", f"cannot copy {source} to {target}: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # of a folder that takes no file the reason is told
            part.unlink(missing_ok=True)
    return expected


def _copied(source: Path, part: Path) -> tuple[dict[str, int], dict[str, int]]:
    with closing(_opened(source)) as reading, closing(sqlite3.connect(part)) as written:
        reading.execute("BEGIN")  # the rows counted and the pages copied are of one instant
        try:
            rows, energy = _rows(reading), _energy(reading)
        except sqlite3.DatabaseError as error:
            raise _unread(source, error) from error
        reading.backup(written)
        written.execute("PRAGMA journal_mode=DELETE")  # one file, without companions
        return rows, energy


def _opened(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        raise NotFound("database_file", f"there is no database file {file}")
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    counted = (connection.execute(f'SELECT count(*) FROM "{name}"').fetchone() for (name,) in names)
    return {name: count for (name,), (count,) in zip(names, counted, strict=True)}


def _energy(connection: sqlite3.Connection) -> dict[str, int]:
    """mJ of each table that keeps energy."""
    tables = connection.execute(
        "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND c.name = 'energy_mj'"
    ).fetchall()
    return {
        name: connection.execute(f'SELECT coalesce(sum(energy_mj), 0) FROM "{name}"').fetchone()[0]
        for (name,) in tables
    }


def _unread(file: Path, error: sqlite3.DatabaseError) -> CarbonError:
    """SQLite tells a file that it cannot get at from one that makes no sense."""
    if isinstance(error, sqlite3.OperationalError):
        return CarbonError(
            "database_not_readable",
            f"cannot read {file}: {error}; a ledger in a folder that takes no files has to be "
            "copied to one that does",
        )
    return _damaged(file, str(error))


def _damaged(file: Path, finding: str) -> CarbonError:
    return CarbonError("database_damaged", f"{file} is damaged: {finding}; restore a backup")
