"""Copies of a PostgreSQL ledger by its own programs, and what proves that they are whole."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
from sqlalchemy import text

from carbon.errors import CarbonError, Conflicting, NotFound
from carbon.storage.engine import create_engine, reading
from carbon.storage.transfer import Totals, totals


def dump(url: str, file: Path) -> Totals:
    """Writes one instant of the ledger to the new `file`, and its totals beside it. `file` gets its
    name only once it is whole, and is for its owner alone to read.

    Raises Conflicting(`file_exists`), CarbonError(`pg_dump_missing`, `copy_failed`).
    """
    if file.exists():
        raise Conflicting("file_exists", f"{file} exists already; move it or name a new file")
    part = file.with_name(file.name + ".part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(0o600)
        said = _dumped(url, part)
        _beside(file).write_bytes(msgspec.json.encode(said))
        os.link(part, file)  # unlike a rename, refuses a file that came meanwhile
    except FileExistsError as error:
        raise Conflicting("file_exists", f"{file} exists already; name a new file") from error
    except OSError as error:
        raise CarbonError("copy_failed", f"cannot write {file}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):  # of a folder that takes no file the reason is told
            part.unlink(missing_ok=True)
    return said


def _dumped(url: str, part: Path) -> Totals:
    engine = create_engine(url)
    with reading(engine) as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        said = totals(connection)
        _run("pg_dump", "--format=custom", f"--snapshot={snapshot}", f"--file={part}", _plain(url))
    engine.dispose()
    return said


def restore(file: Path, url: str) -> Totals:
    """Brings a dump back into an empty database, and compares rows and sums with what it held.

    Raises NotFound(`database_file`), Conflicting(`target_in_use`), CarbonError(`pg_dump_missing`,
    `copy_failed`, `copy_differs`).
    """
    if not file.is_file() or not _beside(file).is_file():
        raise NotFound("database_file", f"there is no dump {file} with {_beside(file).name}")
    engine = create_engine(url)
    with reading(engine) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
        if connection.scalar(text(tables)):
            raise Conflicting("target_in_use", "the database is not empty; name an empty one")
    _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={_plain(url)}", str(file))
    expected = msgspec.json.decode(_beside(file).read_bytes(), type=Totals)
    with reading(engine) as connection:
        got = totals(connection)
    engine.dispose()
    differing = [name for name, said in expected.items() if got.get(name) != said]
    if differing:
        raise CarbonError("copy_differs", f"{', '.join(differing)} differ from what was dumped")
    return got


def _beside(file: Path) -> Path:
    return file.with_name(file.name + ".totals.json")


def _plain(url: str) -> str:
    """The URL as PostgreSQL's programs take it."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _run(program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise CarbonError(
            "pg_dump_missing",
            f"there is no {program} here; install PostgreSQL's client programs (postgresql-client)",
        )
    done = subprocess.run([found, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip().removeprefix(f"{program}: ").splitlines()
        reason = "; ".join(told[:2]) or "no reason was given"
        mend = (
            "; install the client programs of the server's version" if "mismatch" in reason else ""
        )
        raise CarbonError("copy_failed", f"{program}: {reason}{mend}")
