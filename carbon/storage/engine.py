"""Engines and transactions, with what each database needs to be safe."""

from __future__ import annotations

import select
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, Dialect, Engine, event, make_url
from sqlalchemy import create_engine as _create_engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    InvalidatePoolError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from carbon.errors import CarbonError, InvalidInput, NotFound, StorageFull, Unavailable

#: Whether the transaction being begun means to write: SQLite then takes its lock at once,
#: since a lock that is upgraded later fails without waiting.
_writing: ContextVar[bool] = ContextVar("writing", default=False)
_last_write: WeakKeyDictionary[Engine, object] = WeakKeyDictionary()
#: Pages of SQLite's log (16 MB) after which it is brought into the database: whoever commits at
#: that moment waits for it, with a quarter as many one in fifty.
_LOG_PAGES = 4_000
#: A connection that rested for so long is asked whether it is still there.
_REST_S = 1.0
#: Who means to write waits so long for another process's transaction, and looks so often whether it
#: has ended: SQLite's own way looks ever more rarely, up to ten times a second.
_PATIENCE_S, _LOOK_S = 5.0, 0.0003
_PATIENCE = f"PRAGMA busy_timeout={int(_PATIENCE_S * 1000)}"
_BEGIN = "BEGIN IMMEDIATE"
#: What a database file begins with (SQLite's file format, section 1.2).
_SQLITE_HEAD = b"SQLite format 3\0"
_NO_FILE = (None, "", ":memory:")


def create_engine(url: str, cache_mb: int = 64) -> Engine:
    """An engine for `sqlite:///…` or `postgresql+psycopg://…`; a connection of SQLite keeps so much
    of its file in memory.

    Raises InvalidInput(`database_url`) for any other URL.
    """
    parsed = parsed_url(url)
    try:
        if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
            return _sqlite(url, parsed.database, cache_mb)
        if parsed.drivername == "postgresql+psycopg":
            return _postgresql(url)
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "database_url",
            f"{error}: install the extra `pg` (pip install 'carbon-ledger[server,pg]')",
        ) from error
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidInput("database_url", f"cannot use the database URL: {error}") from error
    raise _foreign_url()


def existing_engine(url: str) -> Engine:
    """As `create_engine`, which makes a SQLite file that is not there: here that is
    NotFound(`database_file`)."""
    parsed = parsed_url(url)
    file = parsed.database
    is_file = file not in _NO_FILE
    if parsed.get_backend_name() == "sqlite" and is_file and not Path(str(file)).is_file():
        raise NotFound("database_file", f"there is no database file {file}")
    return create_engine(url)


def parsed_url(url: str) -> URL:
    """Raises InvalidInput(`database_url`) for what is none."""
    try:
        return make_url(url)
    except ArgumentError as error:
        raise _foreign_url() from error


def _foreign_url() -> InvalidInput:
    return InvalidInput(
        "database_url", "the database URL must begin with sqlite:/// or postgresql+psycopg://"
    )


def _postgresql(url: str) -> Engine:
    engine = _create_engine(url, pool_size=10, max_overflow=10)
    event.listen(engine, "checkin", _note_rest)
    event.listen(engine, "checkout", partial(_ask_if_there, engine.dialect))
    return engine


def _note_rest(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["rests_since_s"] = time.monotonic()


def _ask_if_there(
    dialect: Dialect, connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object
) -> None:
    """Whether the server still knows a connection, where it has rested or has something to tell:
    asked each time, it would be a turn to the server and back for each transaction."""
    since_s = record.info.get("rests_since_s")
    if since_s is None or not (time.monotonic() - since_s > _REST_S or _has_words(connection)):
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        if dialect.is_disconnect(error, connection, None):
            raise InvalidatePoolError from error
        raise


def _has_words(connection: DBAPIConnection) -> bool:
    """Whether something came in while nothing was asked, such as the end of the connection."""
    told = select.poll()
    told.register(connection.fileno(), select.POLLIN)
    return bool(told.poll(0))


def memory_engine() -> Engine:
    """The in-memory store: SQLite without a file, one connection for which threads wait in turn,
    gone with the engine.

    The same code as the file-backed store, so that there is no second ledger to keep in step.
    """
    return _sqlite("sqlite://", None, cache_mb=64)


def _sqlite(url: str, database: str | None, cache_mb: int) -> Engine:
    in_memory = database in _NO_FILE
    if not in_memory and database:
        _check_writable(Path(database))
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False, "timeout": _PATIENCE_S}}
    if in_memory:
        options |= {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0}
    engine = _create_engine(url, **options)
    event.listen(engine, "connect", partial(_prepare_sqlite, cache_mb))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _check_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            head = file.read(len(_SQLITE_HEAD))
    except OSError as error:
        raise CarbonError(
            "database_not_writable",
            f"cannot write the database file {path}: {error.strerror}; "
            "mend its permissions or choose another with --db or --data-dir",
        ) from error
    if head not in (b"", _SQLITE_HEAD):
        raise CarbonError(
            "not_a_database",
            f"{path} is no SQLite database; bring it back from a backup, move it away, or choose "
            "another with --db or --data-dir",
        )


def _prepare_sqlite(cache_mb: int, connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        f"cache_size=-{cache_mb * 1024}",
        f"wal_autocheckpoint={_LOG_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    if _writing.get():
        _begin_writing(connection)
    else:
        execute(connection, "BEGIN").close()


def _begin_writing(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA busy_timeout=0").close()
    until = time.monotonic() + _PATIENCE_S
    try:
        with _driver_errors(connection, _BEGIN):
            while not _has_begun(driver, is_last=time.monotonic() >= until):
                time.sleep(_LOOK_S)
    finally:
        driver.execute(_PATIENCE).close()


def _has_begun(driver: Any, is_last: bool) -> bool:
    """False where another process's transaction is in the way."""
    try:
        driver.execute(_BEGIN).close()
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that reads. Raises the carbon error for a database that is away.

    It ends as one that writes does: after a ROLLBACK psycopg forgets what the connection has
    prepared, and PostgreSQL would parse and plan every statement anew.
    """
    with _as_carbon_errors(), engine.connect() as connection:
        try:
            yield connection
        except CarbonError:  # said by who looked: the transaction is sound
            connection.commit()
            raise
        connection.commit()


@contextmanager
def writing(engine: Engine, may_checkpoint: bool = True) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any error.

    Now and then SQLite brings what was committed from its log into the database, and others who
    write in this process wait for that too; who writes much says no to it, and calls `checkpoint`.
    """
    with (
        _meant_to_write(engine),
        engine.connect() as connection,
        _log_kept(connection, is_kept=not may_checkpoint),
        connection.begin(),
    ):
        yield connection


@contextmanager
def _meant_to_write(engine: Engine) -> Iterator[None]:
    token = _writing.set(True)
    try:
        with _turn(engine), _as_carbon_errors():
            yield
    finally:
        _writing.reset(token)
        _last_write[engine] = object()


class Pen:
    """`writing` for a thread that writes over and over. Its connection stays with it: to take one
    and give it back would cost more than a small transaction, and on PostgreSQL a turn to the
    server and back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._used_s = 0.0

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if is_in_memory(self._engine):  # there is but one connection, which others wait for
            with writing(self._engine) as connection:
                yield connection
            return
        with _meant_to_write(self._engine):
            try:
                connection = self._kept()
                with connection.begin():
                    yield connection
            except BaseException:
                self.close()
                raise
            self._used_s = time.monotonic()

    def _kept(self) -> Connection:
        if time.monotonic() - self._used_s > _REST_S:
            self.close()
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def last_write(engine: Engine) -> object:
    """A token of the last transaction of this process that wrote by an engine: while it is the
    same, nothing that was read has been changed here."""
    return _last_write.get(engine)


@contextmanager
def _log_kept(connection: Connection, is_kept: bool) -> Iterator[None]:
    if not (is_kept and is_sqlite(connection)):
        yield
        return
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("PRAGMA wal_autocheckpoint=0").close()
    try:
        yield
    finally:
        driver.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}").close()


def checkpoint(engine: Engine) -> None:
    """Brings SQLite's log into the database; others may write beside it."""
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA wal_checkpoint(PASSIVE)").close()


#: SQLite lets one writer in and the others look again after a while, longer each time; writers of
#: this process wait for each other here and go on at once.
_turns: WeakKeyDictionary[Engine, AbstractContextManager[object]] = WeakKeyDictionary()


def _turn(engine: Engine) -> AbstractContextManager[object]:
    if engine.dialect.name != "sqlite":
        return nullcontext()
    return _turns.setdefault(engine, threading.RLock())


@contextmanager
def _as_carbon_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "full" in text or "No space" in text:
            raise StorageFull("storage_full", "the database's disk is full", 30) from error
        raise Unavailable(
            "database_unavailable", f"the database does not answer: {text}"
        ) from error
    except DataError as error:
        raise InvalidInput(
            "unstorable_value", f"the database cannot hold a value that was sent: {error.orig}"
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("database_unavailable", "the database connection was lost") from error
        raise


def need_not_last(connection: Connection) -> None:
    """PostgreSQL need not wait for its disk at the end of this transaction: for what is done again
    where a crash undoes it. Whatever is committed after it with a wait makes it last as well."""
    if not is_sqlite(connection):
        execute(connection, "SET LOCAL synchronous_commit = off").close()


def is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def is_in_memory(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite" and engine.url.database in _NO_FILE


def execute(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:
    """The driver's cursor after a statement that it gets as it is: on the path of every sending,
    what SQLAlchemy does around one costs more than to run it. Raises what SQLAlchemy would."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with _driver_errors(connection, statement):
        return driver.execute(statement, values)


def execute_many(connection: Connection, statement: str, rows: Sequence[Sequence[Any]]) -> int:
    """As `execute`, once for each row; answers how many rows of the table changed."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with _driver_errors(connection, statement):
        cursor = driver.cursor()
        cursor.executemany(statement, rows)
        changed: int = cursor.rowcount
        cursor.close()
        return changed


@contextmanager
def copying(connection: Connection, statement: str) -> Iterator[Any]:
    """PostgreSQL's COPY, from or to who asks. Raises what SQLAlchemy would."""
    driver = connection.connection.driver_connection
    assert driver is not None
    with (
        _driver_errors(connection, statement),
        driver.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        yield copy


class _driver_errors:  # read as a function; a generator would cost ten times as much
    """An error of the driver is raised as SQLAlchemy's own."""

    __slots__ = ("_connection", "_statement")

    def __init__(self, connection: Connection, statement: str) -> None:
        self._connection, self._statement = connection, statement

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        dialect = self._connection.dialect
        known = dialect.loaded_dbapi.Error
        if isinstance(error, known):
            raise DBAPIError.instance(
                self._statement, None, error, known, dialect=dialect
            ) from error
