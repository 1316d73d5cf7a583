"""Whole columns give what the rule gives for each device alone, to the last digit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterKind, MeterView, Method, Reading, settle
from carbon.domain.rollup import BucketRow, Rate, Reservation, roll_bucket
from carbon.domain.units import BUCKET_MS, PPM
from carbon.services.rollup.bucket_columns import Buckets, Pricing, Readings, roll_columns
from carbon.services.rollup.rolled_buckets import RolledBuckets
from carbon.storage.bulk import IntervalRow
from carbon.storage.interval_columns import columns_of
from carbon.storage.names import MeterRef

START = 1_790_000_100_000
END = START + BUCKET_MS
RATES = {
    device: Rate(rating=1, vintage=7, g_per_kwh=321.5 + device, pue=1.2) for device in (1, 2, 3)
}
#: Starts of the buckets that are asked together: two that follow each other, and one of later.
STARTS = [START, END, START + 5 * BUCKET_MS]
#: Device 1 has two meters of unlike kind, device 2 one, device 3 none that ever reads.
METERS = {
    1: [MeterRef(11, MeterKind.IMPORTER), MeterRef(12, MeterKind.AGENT)],
    2: [MeterRef(21, MeterKind.AGENT)],
    3: [],
}

#: (meter, subject, start, span in steps, mJ, method)
_reading = st.tuples(
    st.sampled_from([11, 12, 21]),
    st.integers(1, 3),
    st.integers(0, 59),
    st.sampled_from([1, 1, 1, 2, 15]),
    st.sampled_from([0, 0, 1, 999, 1_000_003, 3 * 10**13]),
    st.sampled_from([Method.COUNTER, Method.MODELLED]),
)
#: As a meter really reads: several subjects, step after step.
_steady = st.builds(
    lambda meter, subjects, mj, method, count, later: [
        (meter, subject, at + later, 1, mj * subject + at, method)
        for at in range(count)
        for subject in subjects
    ],
    st.sampled_from([11, 12, 21]),
    st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True),
    st.integers(0, 10_000_019),
    st.sampled_from([Method.COUNTER, Method.MODELLED]),
    st.integers(1, 30),
    st.sampled_from([0, 30, 150]),
)
_readings = st.one_of(
    st.lists(_reading, max_size=8), st.lists(_steady, max_size=3).map(lambda some: [*chain(*some)])
)
_marks = st.sampled_from([START - 5, START, START + 70_000, END, END + 5, START + 9 * BUCKET_MS])
_reservations = st.dictionaries(
    st.integers(1, 2),
    st.lists(st.builds(Reservation, st.integers(1, 5), _marks, _marks, st.integers(0, PPM // 2))),
)
_claims = st.lists(
    st.builds(Claim, st.integers(1, 5), st.integers(1, 9), _marks, _marks, st.integers(0, 3)),
    max_size=4,
)


def rows_of(drawn: Sequence[tuple[int, int, int, int, int, Method]]) -> list[IntervalRow]:
    """Each key once."""
    rows = {}
    for meter, subject, start, span, mj, method in drawn:
        end = min(start + span, start // 30 * 30 + 30) * 10_000  # none over a mark
        key = (START + end, meter, subject, end - start * 10_000)
        rows[key] = (*key, mj, int(method))
    return list(rows.values())


def by_the_rule(
    of: dict[str, Any], rows: Sequence[IntervalRow], start_ms: int, device: int
) -> list[BucketRow]:
    end_ms = start_ms + BUCKET_MS
    readings: dict[int, list[Reading]] = {}
    for end, meter, subject, span, mj, method in rows:
        if start_ms < end <= end_ms:
            one = Reading(meter, subject, end - span, end, mj, Method(method))
            readings.setdefault(meter, []).append(one)
    views = [
        MeterView(ref.meter, ref.kind, tuple(settle(readings.get(ref.meter, ()))))
        for ref in METERS[device]
    ]
    held = of["reservations"].get(device, ())
    return roll_bucket(
        views,
        RATES[device],
        lambda subject, at_ms: workload_of(of["claims"].get(subject, ()), at_ms),
        [r for r in held if r.start_ms < end_ms and r.end_ms > start_ms],
        start_ms,
        end_ms,
    )


def buckets_of(pairs: Sequence[tuple[int, int]], **of: Any) -> Buckets:
    start_ms, device = np.array(pairs, dtype=np.int64).T
    given = {"meters": METERS, "reservations": {}, "claims": {}, **of}
    pricing = Pricing(list(RATES.values()), device - 1)
    return Buckets(start_ms, device, np.zeros(len(pairs), dtype=np.bool_), pricing=pricing, **given)


def rows_stored(buckets: Buckets, rows: Sequence[IntervalRow]) -> list[tuple[Any, ...]]:
    rolled = RolledBuckets(buckets, Readings.of(buckets.cells, columns_of(rows)))
    return rolled.rows(slice(0, buckets.size), {1: 1})


def as_stored(start_ms: int, device: int, row: BucketRow) -> tuple[Any, ...]:
    rate = RATES[device]
    return (
        *(start_ms, device, row.subject, row.workload, int(row.method), row.energy_mj),
        *(row.operational_ng, row.covered_ms, row.reserved_ms, row.meter),
        *(rate.rating, rate.vintage, rate.g_per_kwh, rate.pue),
    )


@given(_readings, _reservations, _claims, st.randoms(use_true_random=False))
def test_columns_give_what_the_rule_gives(
    drawn: list[tuple[int, int, int, int, int, Method]],
    reservations: dict[int, list[Reservation]],
    claims: list[Claim],
    rng: random.Random,
) -> None:
    rows = rows_of(drawn)
    rng.shuffle(rows)
    of = {
        "claims": {c.subject: [o for o in claims if o.subject == c.subject] for c in claims},
        "reservations": {
            device: [r for r in held if r.start_ms < r.end_ms]
            for device, held in reservations.items()
        },
    }
    pairs = [(start_ms, device) for start_ms in STARTS for device in (1, 2, 3)]
    rng.shuffle(pairs)
    meant = [as_stored(*pair, row) for pair in pairs for row in by_the_rule(of, rows, *pair)]
    assert rows_stored(buckets_of(pairs, **of), rows) == meant
    # However they are cut into passes.
    at = rng.randrange(1, len(pairs))
    parts = [buckets_of(some, **of) for some in (pairs[:at], pairs[at:])]
    assert [*rows_stored(parts[0], rows), *rows_stored(parts[1], rows)] == meant


def odd_of(rows: Sequence[IntervalRow], **of: Any) -> list[int]:
    """Devices whose first bucket is not plain; their other buckets are."""
    buckets = buckets_of([(start_ms, device) for start_ms in STARTS for device in (1, 2, 3)], **of)
    odd = roll_columns(buckets, Readings.of(buckets.cells, columns_of(rows)))[1]
    assert set(buckets.start_ms[odd].tolist()) <= {START}
    return [int(device) for device in buckets.device[odd]]


def test_what_is_plain_is_taken_and_only_that() -> None:
    plain = [(START + n * 10_000, 21, 1, 10_000, 5, 1) for n in range(1, 61)]
    assert odd_of(plain) == []
    overlapping = (START + 95_000, 21, 2, 10_000, 5, 1)
    assert odd_of([*plain, overlapping]) == [2]
    ends_inside = {2: [Reservation(1, START, START + 5, PPM)]}
    assert odd_of(plain, reservations=ends_inside) == [2]
    changes_hands = {1: [Claim(1, 1, START + 5, END, 0)]}
    assert odd_of(plain, claims=changes_hands) == [2]


def test_what_would_overflow_is_left_to_whole_numbers() -> None:
    much = [(START + 300_000, 21, subject, 300_000, 3 * 10**13, 1) for subject in (1, 2)]
    assert odd_of(much) == [2]


def test_a_device_that_is_set_aside_has_no_rows_in_that_bucket_alone() -> None:
    plain = [(START + n * 300_000, 21, 1, 300_000, 5, 1) for n in (1, 2)]
    buckets = buckets_of([(START, 2), (END, 2)])
    aside = Buckets(**{**vars(buckets), "is_aside": np.array([True, False])})
    assert [row[0] for row in rows_stored(buckets, plain)] == [START, END]
    assert [row[0] for row in rows_stored(aside, plain)] == [END]


def test_nothing_read_is_nothing_rolled() -> None:
    assert rows_stored(buckets_of([(START, 1), (END, 3)]), []) == []
    nobody = buckets_of([(START, 1)], meters={})
    assert rows_stored(nobody, [(END, 21, 1, 300_000, 5, 1)]) == []
