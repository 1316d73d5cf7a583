"""Marks of buckets: each bucket once, marked anew each time, on both ways in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from carbon.domain.units import BUCKET_MS
from carbon.storage.dirty import mark_dirty, mark_packed, pack, packed
from carbon.storage.energy import dirty_bucket
from carbon.storage.engine import reading, writing

buckets = st.tuples(st.integers(0, 6_000_000), st.integers(1, (1 << 31) - 1))


def marked(engine: Engine) -> dict[tuple[int, int], int]:
    d = dirty_bucket.c
    with reading(engine) as connection:
        rows = connection.execute(select(d.start_ms, d.device_id, d.marks)).all()
    return {(row[0], row[1]): row[2] for row in rows}


@given(st.lists(buckets, min_size=1, max_size=20))
def test_columns_and_pairs_are_packed_alike(pairs: list[tuple[int, int]]) -> None:
    starts, devices = (np.array(column) for column in zip(*pairs, strict=True))
    numbers = packed(starts * BUCKET_MS, devices).tolist()
    assert numbers == sorted({pack(start * BUCKET_MS, device) for start, device in pairs})


def test_many_buckets_are_marked_each_once(engine: Engine) -> None:
    wanted = {(at * BUCKET_MS, device) for at in range(20) for device in range(1, 150)}
    with writing(engine) as connection:
        mark_dirty(connection, [*wanted, *wanted])
    assert marked(engine).keys() == wanted


def test_a_bucket_that_changes_again_has_another_mark(engine: Engine) -> None:
    """By which a roll-up sees that it computed from what is no longer all."""
    one, other = (BUCKET_MS, 1), (BUCKET_MS, 2)
    with writing(engine) as connection:
        mark_dirty(connection, [one, other])
    before = marked(engine)
    with writing(engine) as connection:
        mark_packed(connection, np.array([pack(*one)]))
    after = marked(engine)
    assert after[one] != before[one]
    assert after[other] == before[other]


def test_nothing_is_marked_for_nothing(engine: Engine) -> None:
    with writing(engine) as connection:
        mark_dirty(connection, [])
    assert marked(engine) == {}
