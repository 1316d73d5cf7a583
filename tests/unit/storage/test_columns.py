"""Sums over columns are those of a dictionary; columns pass PostgreSQL's binary COPY unchanged."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.storage.binary_copy import decoded, encoded
from carbon.storage.columns import distinct, summed

#: Some that share one number of 63 bits, and some that do not fit into one.
KEYS = st.sampled_from([0, 1, 2, -5, 7, 1_700_000_000_000, 1_700_000_900_000, -(2**62), 2**62])
ROWS = st.lists(st.tuples(KEYS, KEYS, st.integers(-9, 9)))


@given(ROWS)
def test_sums_are_those_of_a_dictionary(rows: list[tuple[int, int, int]]) -> None:
    expected: dict[tuple[int, int], int] = defaultdict(int)
    for *key, value in rows:
        expected[tuple(key)] += value  # type: ignore[index]
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    got = summed(list(columns[:2]), [columns[2]])
    assert got.tolist() == [[*key, value] for key, value in sorted(expected.items())]
    assert distinct(*columns[:2]).tolist() == [list(key) for key in sorted(expected)]


def test_a_choice_of_rows_alone_is_summed() -> None:
    keys, values = np.array([1, 1, 2]), np.array([10, 20, 40])
    assert summed([keys], [values], np.array([True, False, True])).tolist() == [[1, 10], [2, 40]]
    assert summed([keys], [values], values > 99).shape == (0, 2)


@pytest.mark.parametrize(
    ("kind", "values"), [(">i8", [-(2**63), 2**63 - 1]), (">i2", [-1, 7]), (">f8", [0.1, -2.5e300])]
)
def test_columns_pass_a_binary_copy_unchanged(kind: str, values: list[float]) -> None:
    column = np.array(values)
    raw = encoded([column, column[::-1]], [kind, kind])
    assert [c.tolist() for c in decoded(raw, [kind, kind])] == [values, values[::-1]]
    assert raw.startswith(b"PGCOPY\n\xff\r\n\0")
    assert raw.endswith(b"\xff\xff")
