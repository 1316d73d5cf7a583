"""Whole numbers leave a table as they stand in it, on every store."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy import BigInteger, Column, Engine, Integer, MetaData, Table, insert

from carbon.storage.column_reads import read_columns, read_packed
from carbon.storage.engine import writing

some_numbers = Table(
    "some_numbers",
    MetaData(),
    Column("at_ms", BigInteger),
    Column("small", Integer),
    Column("large", BigInteger),
    prefixes=["TEMPORARY"],
)
LARGEST = 2**63 - 1
NAMES = ("at_ms", "small", "large")


@pytest.mark.parametrize("order", ["", "at_ms"])
def test_rows_are_read_as_they_were_written(engine: Engine, order: str) -> None:
    drawn = np.random.default_rng(7)
    rows = [
        *[(5, 0, LARGEST), (-3, -7, -LARGEST - 1), (0, 1, 2**53 + 1)],
        *drawn.integers(-(2**31), 2**31, (500, 3)).tolist(),
    ]
    told = [dict(zip(NAMES, row, strict=True)) for row in rows]
    with writing(engine) as connection:
        some_numbers.create(connection)
        connection.execute(insert(some_numbers), told)
        found = read_columns(connection, NAMES, "some_numbers", order)
        doubled = read_columns(connection, ["large - at_ms"], "some_numbers WHERE small = 1", order)
    assert found.dtype == np.int64
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, rows))
    if order:
        assert found[:, 0].tolist() == sorted(found[:, 0].tolist())
    assert sorted(doubled[:, 0].tolist()) == sorted(row[2] - row[0] for row in rows if row[1] == 1)


@pytest.mark.parametrize("order", ["", "at_ms"])
def test_of_no_rows_there_is_an_array_without_any(engine: Engine, order: str) -> None:
    with writing(engine) as connection:
        some_numbers.create(connection)
        found = read_columns(connection, NAMES, "some_numbers", order)
    assert found.shape == (0, 3)
    assert found.dtype == np.int64


@pytest.mark.parametrize("order", ["", "at_ms"])
@pytest.mark.parametrize("bits", [(9, 31, 22), (40, 31, 31), (62, 1, 64), (0, 3, 64), (5, 0, 0)])
def test_columns_that_share_a_number_come_out_as_they_stand(
    engine: Engine, order: str, bits: tuple[int, int, int]
) -> None:
    """Up to the largest number that fits, and none at all."""
    drawn = np.random.default_rng(11)
    most = [min((1 << width) - 1, LARGEST if n != 1 else 2**31 - 1) for n, width in enumerate(bits)]
    rows = [
        *[(0, 0, 0), tuple(most)],
        *zip(*(drawn.integers(0, one, 300, endpoint=True).tolist() for one in most), strict=True),
    ]
    widths = dict(zip(NAMES, bits, strict=True))
    with writing(engine) as connection:
        some_numbers.create(connection)
        nothing = read_packed(connection, widths, "some_numbers", order)
        connection.execute(
            insert(some_numbers), [dict(zip(NAMES, row, strict=True)) for row in rows]
        )
        found = read_packed(connection, widths, "some_numbers", order)
    assert nothing.shape == (0, 3)
    assert found.dtype == nothing.dtype == np.int64
    assert sorted(map(tuple, found.tolist())) == sorted(rows)
    if order:
        assert found[:, 0].tolist() == sorted(found[:, 0].tolist())
