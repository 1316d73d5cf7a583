"""What the sendings of a transaction write together: of few as of many, on both databases."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, delete, select

from carbon.domain.energy import MeterKind
from carbon.domain.units import BUCKET_MS
from carbon.storage.bulk import NotAllNew
from carbon.storage.dirty import distinct, pack, packed
from carbon.storage.energy import dirty_bucket, energy_interval, ingest_batch
from carbon.storage.engine import create_engine, is_sqlite, reading, writing
from carbon.storage.identities import Identities
from carbon.storage.interval_columns import columns_of
from carbon.storage.partitions import day_of_end, make_days
from carbon.storage.pending import Pending

T = 1_772_431_200_000

Row = tuple[int, int, int, int, int, int]

some_rows = st.lists(
    st.builds(
        lambda end, meter, mj: (T + 10 * end, meter, 1, 10, mj, 1),
        st.integers(1, 60_000),
        st.integers(1, 3),
        st.integers(0, 1 << 53),
    ),
    max_size=90,
    unique_by=lambda row: row[:2],
)
#: Boots are whatever their senders call them.
boots = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9
)
keys = st.lists(st.tuples(boots, st.integers(0, 1 << 53)), max_size=5, unique=True)


def written(connection: Connection) -> list[list[tuple[object, ...]]]:
    """All but the random number of the marks."""
    tables = (energy_interval, ingest_batch, dirty_bucket)
    found = [sorted(map(tuple, connection.execute(select(table)))) for table in tables]
    found[2] = [row[:2] for row in found[2]]
    return found


def prepared(engine: Engine) -> int:
    """A source, and days to write into."""
    with writing(engine) as connection:
        if not is_sqlite(connection):
            make_days(connection, {day_of_end(T + 10 * end) for end in (1, 30_000, 60_000)})
        return Identities(connection, T, {}).source(0, "s", MeterKind.AGENT)


def one_by_one(rows: Sequence[Row]) -> Pending:
    pending = Pending()
    pending.add_new_rows(rows)
    pending.mark_few({pack(row[0] - row[3], row[1]) for row in rows})
    return pending


def by_columns(rows: Sequence[Row]) -> Pending:
    pending = Pending()
    if rows:
        columns = columns_of(rows)
        pending.add_new(columns)
        pending.mark(packed(columns[0] - columns[3], columns[1]))
    return pending


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some_rows, some_rows, keys)
def test_few_are_written_as_many_are(
    engine: Engine, first: list[Row], second: list[Row], batches: list[tuple[str, int]]
) -> None:
    source_id, results = prepared(engine), []
    second = [row for row in second if row[:2] not in {known[:2] for known in first}]
    for make in (one_by_one, by_columns):
        with writing(engine) as connection:
            for table in (energy_interval, ingest_batch, dirty_bucket):
                connection.execute(delete(table))
        for rows in (first, second):
            pending = make(rows)
            pending.batches = {(source_id, *key): (b"\\\0'\"{},", 3, T) for key in batches}
            with writing(engine) as connection:
                pending.flush(connection)
        with reading(engine) as connection:
            results.append(written(connection))
    assert results[0] == results[1]
    assert results[0][0] == sorted([*first, *second])
    assert len(results[0][1]) == len(batches)
    buckets = {((row[0] - row[3]) // BUCKET_MS * BUCKET_MS, row[1]) for row in [*first, *second]}
    assert results[0][2] == sorted(buckets)


def test_of_few_and_of_columns_together_all_is_written(engine: Engine) -> None:
    prepared(engine)
    pending = by_columns([(T + 20, 1, 1, 10, 5, 1)])
    pending.add_new_rows([(T + 10, 1, 1, 10, 6, 1)])
    pending.mark_few([pack(T, 1), pack(T, 7)])
    pending.dirty.add((T + BUCKET_MS, 1))
    with writing(engine) as connection:
        pending.flush(connection)
        rows, _, marks = written(connection)
    assert [row[4] for row in rows] == [6, 5]
    assert marks == [(T, 1), (T, 7), (T + BUCKET_MS, 1)]


@pytest.mark.parametrize("known", [0, 1])
def test_of_few_a_key_that_exists_voids_all(engine: Engine, known: int) -> None:
    """And so nothing of it is there: the writer looks at each and writes it anew."""
    source_id = prepared(engine)
    rows = [(T + 10, 1, 1, 10, 5, 1), (T + 20, 1, 1, 10, 5, 1)]
    with writing(engine) as connection:
        one_by_one([rows[known]]).flush(connection)
        before = written(connection)
    pending = one_by_one(rows)
    pending.batches = {(source_id, "b", 1): (b"h", 2, T)}
    with pytest.raises(NotAllNew), writing(engine) as connection:
        pending.flush(connection)
    with reading(engine) as connection:
        assert written(connection) == before


def test_on_postgresql_an_absent_day_is_told_of_few(postgres_database: str) -> None:
    engine = create_engine(postgres_database)
    with pytest.raises(NotAllNew), writing(engine) as connection:
        one_by_one([(T + 10, 1, 1, 10, 5, 1)]).flush(connection)
    engine.dispose()


@given(st.lists(st.integers(-(1 << 60), 1 << 60).map(lambda n: n % 50), max_size=60))
def test_distinct_numbers_are_each_given_once_in_order(numbers: list[int]) -> None:
    columns = columns_of([(n, 0, 0, 0, 0, 0) for n in numbers])[0]
    assert distinct(columns).tolist() == sorted(set(numbers))
