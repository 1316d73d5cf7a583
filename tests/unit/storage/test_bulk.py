"""The bulk writers and the judgement of rows: new, duplicate, contradiction."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_house import fresh_engine
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    LargeBinary,
    MetaData,
    Table,
    Text,
    func,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError

from carbon.domain.energy import MeterKind
from carbon.domain.units import MS_PER_DAY
from carbon.errors import InvalidInput, Unavailable
from carbon.storage.bulk import (
    IntervalRow,
    NotAllNew,
    add_columns,
    insert_columns,
    insert_intervals,
    insert_new_rows,
    insert_rows,
    insert_rows_of,
    upsert_columns,
)
from carbon.storage.energy import energy_interval, ingest_batch, keep_conflicts, write_intervals
from carbon.storage.engine import create_engine, is_sqlite, reading, writing
from carbon.storage.identities import Identities
from carbon.storage.interval_columns import columns_of
from carbon.storage.names import host
from carbon.storage.partitions import day_of_end, make_days, partition_name
from carbon.storage.pending import Pending
from carbon.storage.settled import device_hour

T = 1_772_431_200_000

told_table = Table(
    "told",
    MetaData(),
    Column("a", Text),
    Column("b", Text),
    Column("c", Boolean),
    Column("d", Float),
    Column("e", LargeBinary),
)


def row(
    start_ms: int, span_ms: int = 10, mj: int = 5, meter: int = 1, subject: int = 1
) -> IntervalRow:
    return (T + start_ms + span_ms, meter, subject, span_ms, mj, 1)


def stored(connection: Connection) -> list[tuple[int, ...]]:
    return sorted(tuple(r) for r in connection.execute(select(energy_interval)))


def test_new_rows_are_counted_and_known_ones_left_as_they_are(engine: Engine) -> None:
    with writing(engine) as connection:
        assert insert_intervals(connection, []) == 0
        assert insert_intervals(connection, [row(0), row(10)]) == 2
        assert insert_intervals(connection, [row(10, mj=99), row(20)]) == 1
        assert stored(connection) == [row(0), row(10), row(20)]


def test_many_rows_at_once_are_all_counted(engine: Engine) -> None:
    rows = [row(n * 10) for n in range(5_000)]
    with writing(engine) as connection:
        assert insert_intervals(connection, rows) == 5_000
        assert insert_intervals(connection, rows) == 0
        assert connection.scalar(select(func.count()).select_from(energy_interval)) == 5_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(st.tuples(*(st.integers(1, most) for most in (400, 3, 3, 2, 9, 2)))),
    st.booleans(),
    st.integers(0, 2_600),
)
def test_rows_alike_and_unlike_are_inserted_as_they_would_be_one_by_one(
    some: list[IntervalRow], are_alike: bool, more: int
) -> None:
    """Those of one span and method go another way where they are many."""
    rows: list[IntervalRow] = [*some, *((1_000 + n, 1, 1, 1, n, 1) for n in range(more))]
    if are_alike:
        rows = [(end, meter, subject, 1, mj, 1) for end, meter, subject, _, mj, _ in rows]
    expected: dict[tuple[int, ...], IntervalRow] = {}
    for one in rows:
        expected.setdefault(one[:4], one)
    engine = fresh_engine()
    with writing(engine) as connection:
        assert insert_intervals(connection, rows) == len(expected)
        assert insert_intervals(connection, rows) == 0
        assert stored(connection) == sorted(expected.values())
    engine.dispose()


def test_a_day_without_a_partition_is_made_by_the_writer(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    days = [T - n * 40 * MS_PER_DAY for n in range(3)]
    rows = [(day, 1, 1, 10, 5, 1) for day in days]
    with writing(engine) as connection:
        assert insert_intervals(connection, rows) == 3
        assert insert_intervals(connection, rows) == 0
    with reading(engine) as connection:
        names = set(connection.scalars(text("SELECT relname FROM pg_class WHERE relkind = 'r'")))
        assert {partition_name(day_of_end(day)) for day in days} <= names
        assert stored(connection) == sorted(rows)
    engine.dispose()


def test_what_ends_at_midnight_belongs_to_the_day_before() -> None:
    midnight = 20_000 * MS_PER_DAY
    assert day_of_end(midnight) == midnight - MS_PER_DAY
    assert day_of_end(midnight + 1) == midnight


def test_a_contradiction_is_told_by_its_reason(engine: Engine) -> None:
    with writing(engine) as connection:
        write_intervals(connection, columns_of([row(0), row(10)]))
        sent = [row(0), row(10, mj=9), row(5), row(20), row(0, 20), row(3, 4)]
        written = write_intervals(connection, columns_of(sent))
        assert written.duplicates == {0}
        assert [(c.position, c.reason) for c in written.contradictions] == [
            (1, "value"),
            (2, "overlap"),
        ]
        assert len(stored(connection)) == 5


def test_other_meters_and_other_subjects_of_the_same_period_contradict_nothing(
    engine: Engine,
) -> None:
    with writing(engine) as connection:
        write_intervals(connection, columns_of([row(0)]))
        others = [row(0, subject=2), row(5, meter=2)]
        written = write_intervals(connection, columns_of(others))
        assert (written.duplicates, written.contradictions) == (frozenset(), ())


def test_rows_that_wait_are_written_together_in_the_order_of_the_key(engine: Engine) -> None:
    pending = Pending()
    with writing(engine) as connection:
        if not is_sqlite(connection):
            make_days(connection, [day_of_end(T + 10)])
        pending.add_new(columns_of([row(10), row(0, meter=2)]))
        pending.add_new(columns_of([row(0)]))
        assert stored(connection) == []
        pending.flush_rows(connection)
        pending.flush_rows(connection)
        assert stored(connection) == sorted([row(0), row(0, meter=2), row(10)])


def test_a_promise_that_is_broken_by_an_equal_key_is_told(engine: Engine) -> None:
    with writing(engine) as connection:
        write_intervals(connection, columns_of([row(0)]))
    pending = Pending()
    pending.add_new(columns_of([row(0, mj=7), row(10)]))
    with pytest.raises(NotAllNew), writing(engine) as connection:
        pending.flush(connection)
    with reading(engine) as connection:
        assert stored(connection) == [row(0)]


@pytest.mark.parametrize("count", [3, 500])
def test_on_postgresql_a_broken_promise_or_an_absent_day_is_told(
    postgres_database: str, count: int
) -> None:
    """Few rows in a statement, many by COPY; the writer tries again, looking at each."""
    engine = create_engine(postgres_database)
    rows = [row(n * 10) for n in range(count)]
    with pytest.raises(NotAllNew), writing(engine) as connection:
        add_columns(connection, columns_of(rows))  # no partition yet
    with writing(engine) as connection:
        assert insert_intervals(connection, rows) == count
    more = [row((count + n) * 10) for n in range(count)]
    with writing(engine) as connection:
        add_columns(connection, columns_of(more))
    with pytest.raises(NotAllNew), writing(engine) as connection:
        add_columns(connection, columns_of([*more[:-1], row(10 * count * 3)]))
    with reading(engine) as connection:
        assert stored(connection) == [*rows, *more]
    engine.dispose()


def test_a_database_that_ends_during_a_copy_is_away_and_no_error_of_ours(
    postgres_database: str,
) -> None:
    engine = create_engine(postgres_database)
    rows = columns_of([row(n * 10) for n in range(500)])
    with writing(engine) as connection:
        insert_columns(connection, rows[:, :1])

    def write_after_the_end() -> None:
        with writing(engine) as connection:
            own = connection.scalar(text("SELECT pg_backend_pid()"))
            with engine.connect() as other:
                other.execute(text(f"SELECT pg_terminate_backend({own}, 20000)"))
            add_columns(connection, rows[:, 1:])

    with pytest.raises(Unavailable):
        write_after_the_end()
    with reading(engine) as connection:
        assert len(stored(connection)) == 1
    engine.dispose()


@pytest.mark.parametrize("count", [1, 500])
def test_what_postgresql_refuses_in_many_rows_is_told_as_in_one(
    postgres_database: str, count: int
) -> None:
    """Few go in a statement, many by COPY: the error of either is SQLAlchemy's, and then ours."""
    engine = create_engine(postgres_database)
    hosts = [named(n, f"h{n}") for n in range(count)]
    with pytest.raises(InvalidInput) as caught, writing(engine) as connection:
        insert_rows_of(connection, [(host, [*hosts[1:], named(count, "a\0b")])])
    assert caught.value.code == "unstorable_value"
    with pytest.raises(IntegrityError), writing(engine) as connection:
        insert_rows_of(connection, [(host, [*hosts, hosts[0]])])
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(host)) == 0
    engine.dispose()


def named(host_id: int, name: str) -> tuple[object, ...]:
    known = {"id": host_id, "name": name, "created_ms": 0}
    return tuple(known.get(column.name) for column in host.columns)


rows = st.builds(
    row,
    st.integers(0, 60),
    st.sampled_from([5, 10, 20]),
    st.integers(0, 3),
    st.integers(1, 2),
    st.integers(1, 2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(rows, max_size=6), max_size=5))
def test_every_row_sent_is_stored_known_or_kept_aside(batches: list[list[IntervalRow]]) -> None:
    """And no two stored rows of equal span and meter overlap in part."""
    engine = fresh_engine()
    with writing(engine) as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        kept = 0
        for batch in filter(None, batches):
            written = write_intervals(connection, columns_of(batch))
            new = len(batch) - len(written.duplicates) - len(written.contradictions)
            kept += new
        found = stored(connection)
        assert len(found) == kept
        for meter, span in {(r[1], r[3]) for r in found}:
            ends = sorted({r[0] for r in found if (r[1], r[3]) == (meter, span)})
            assert all(other - one >= span for one, other in pairwise(ends))
        connection.rollback()
    engine.dispose()


def test_contradictions_are_kept_for_people_to_see(memory: Engine) -> None:
    from carbon.domain.claims import IDLE
    from carbon.domain.energy import MeterKind
    from carbon.storage.energy import interval_conflict
    from carbon.storage.identities import Identities

    with writing(memory) as connection:
        ids = Identities(connection, 0, {})
        device = ids.device("gpu-0", ids.host("h"))
        meter = ids.meter(device, ids.source(0, "s", MeterKind.AGENT))
        subject = ids.subject(IDLE)
        sent = [row(0, meter=meter, subject=subject), row(0, mj=9, meter=meter, subject=subject)]
        written = write_intervals(connection, columns_of(sent))
        keep_conflicts(connection, columns_of(sent), written.contradictions, 7)
        kept = connection.execute(select(interval_conflict)).one()
        assert (kept.start_ms, kept.end_ms, kept.energy_mj) == (T, T + 10, 9)
        assert (kept.reason, kept.recorded_ms) == ("value", 7)


def test_hashes_of_any_bytes_are_kept_once(engine: Engine) -> None:
    hashes = [bytes(range(at, at + 32)) for at in (0, 32, 64, 220)]
    with writing(engine) as connection:
        source_id = Identities(connection, T, {}).source(0, "s", MeterKind.AGENT)
        rows = [(source_id, 'b"{,}\\', seq, told, 1, T) for seq, told in enumerate(hashes)]
        for _ in range(2):
            insert_new_rows(connection, ingest_batch, rows)
        insert_new_rows(connection, ingest_batch, [(*rows[0][:3], b"other", 2, T)])
        assert sorted(tuple(r) for r in connection.execute(select(ingest_batch))) == rows


texts = st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", codec="utf-8")))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(alphabet='ab"\\{},N', max_size=5), texts, st.booleans())))
def test_texts_numbers_and_nothing_come_back_as_they_were(
    postgres_database: str, told: list[tuple[str, str | None, bool]]
) -> None:
    """Few rows go as arrays: what they hold is no part of how an array is written."""
    engine = create_engine(postgres_database)
    numbers = [None, 0.1, -1e300, 5.0]
    with engine.connect() as connection:
        connection.execute(text("DROP TABLE IF EXISTS told"))
        connection.execute(text("CREATE TABLE told (a text, b text, c boolean, d float8, e bytea)"))
        rows = [(*one, numbers[at % 4], bytes([at, 34])) for at, one in enumerate(told)]
        insert_rows_of(connection, [(told_table, rows), (told_table, rows)])
        found = [tuple(row) for row in connection.execute(select(told_table))]
        assert sorted(found, key=repr) == sorted(rows * 2, key=repr)
        connection.rollback()
    engine.dispose()


@pytest.mark.parametrize("count", [0, 1, 63, 300, 2_000])
def test_columns_set_what_they_name_and_nothing_else(engine: Engine, count: int) -> None:
    """Rows that are there keep the rest; of new ones the rest is 0."""
    drawn = np.random.default_rng(count)
    keys = np.column_stack([np.arange(count) // 7, *drawn.integers(1, 5, (2, count)), range(count)])
    old = np.column_stack(
        [keys, drawn.integers(1, 9, (count, 2)), drawn.integers(1, 9, (count, 5))]
    )
    rows = [(T + hour, w, d, s, *rest) for hour, w, d, s, *rest in old.tolist()]
    known, ng = rows[::3], drawn.integers(-5, 2**62, count)
    names = [column.name for column in device_hour.c]
    columns = dict(
        zip(names[:6], np.array(rows, dtype=np.int64).reshape(-1, 11).T[:6], strict=True)
    )
    columns["operational_ng"] = ng
    setting = "DO UPDATE SET operational_ng = excluded.operational_ng"
    with writing(engine) as connection:
        insert_rows(connection, device_hour, known)
        upsert_columns(
            connection, device_hour, columns, f"ON CONFLICT ({', '.join(names[:6])}) {setting}"
        )
        found = sorted(tuple(map(int, row)) for row in connection.execute(select(device_hour)))
    assert found == sorted(
        (*row[:6], row[6] if row in known else 0, one, *(row[8:] if row in known else (0, 0, 0)))
        for row, one in zip(rows, ng.tolist(), strict=True)
    )
