"""The databases' own drivers, doing by hand what the service is measured at."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from carbon.storage.engine import create_engine


@contextmanager
def raw_cursor(engine: Engine) -> Iterator[Any]:
    """A cursor of sqlite3 or psycopg on a connection of its own; nothing of it is kept."""
    own = create_engine(engine.url.render_as_string(hide_password=False))
    connection = own.raw_connection()
    try:
        cursor = connection.cursor()
        yield cursor
        connection.rollback()
    finally:
        connection.close()
        own.dispose()


def raw_rate(engine: Engine, statements: Iterable[str], per_transaction: int) -> float:
    """Rows a second that statements change, so many of them in a transaction."""
    own = create_engine(engine.url.render_as_string(hide_password=False))
    connection = own.raw_connection()
    begin = ["BEGIN IMMEDIATE"] if engine.dialect.name == "sqlite" else []
    try:
        cursor = connection.cursor()
        rows, began = 0, time.perf_counter()
        for some in _parts(list(statements), per_transaction):
            for statement in (*begin, *some):
                cursor.execute(statement)
                rows += max(0, cursor.rowcount)
            connection.commit()
        return rows / (time.perf_counter() - began)
    finally:
        connection.close()
        own.dispose()


def _parts(statements: Sequence[str], size: int) -> list[Sequence[str]]:
    return [statements[at : at + size] for at in range(0, len(statements), size)]
