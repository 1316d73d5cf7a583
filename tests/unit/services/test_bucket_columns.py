"""Whole columns give what the rule gives for each device alone, to the last digit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.claims import Claim, workload_of
from carbon.domain.energy import MeterKind, MeterView, Method, Reading, settle
from carbon.domain.rollup import BucketRow, Rate, Reservation, roll_bucket
from carbon.domain.units import BUCKET_MS, PPM
from carbon.services.bucket_columns import Bucket, roll_columns
from carbon.storage.bulk import IntervalRow
from carbon.storage.interval_columns import columns_of
from carbon.storage.names import MeterRef

START = 1_790_000_100_000
END = START + BUCKET_MS
RATES = {
    device: Rate(rating=1, vintage=7, g_per_kwh=321.5 + device, pue=1.2) for device in (1, 2, 3)
}
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
    st.integers(0, 29),
    st.sampled_from([1, 1, 1, 2, 15]),
    st.sampled_from([0, 0, 1, 999, 1_000_003, 3 * 10**13]),
    st.sampled_from([Method.COUNTER, Method.MODELLED]),
)
#: As a meter really reads: several subjects, step after step.
_steady = st.builds(
    lambda meter, subjects, mj, method, count: [
        (meter, subject, at, 1, mj * subject + at, method)
        for at in range(count)
        for subject in subjects
    ],
    st.sampled_from([11, 12, 21]),
    st.lists(st.integers(1, 3), min_size=1, max_size=3, unique=True),
    st.integers(0, 10_000_019),
    st.sampled_from([Method.COUNTER, Method.MODELLED]),
    st.integers(1, 30),
)
_readings = st.one_of(
    st.lists(_reading, max_size=8), st.lists(_steady, max_size=3).map(lambda some: [*chain(*some)])
)
_marks = st.sampled_from([START - 5, START, START + 70_000, END, END + 5])
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
        end = min(start + span, 30) * 10_000
        key = (START + end, meter, subject, end - start * 10_000)
        rows[key] = (*key, mj, int(method))
    return list(rows.values())


def by_the_rule(bucket: Bucket, rows: Sequence[IntervalRow], device: int) -> list[BucketRow]:
    readings: dict[int, list[Reading]] = {}
    for end, meter, subject, span, mj, method in rows:
        one = Reading(meter, subject, end - span, end, mj, Method(method))
        readings.setdefault(meter, []).append(one)
    views = [
        MeterView(ref.meter, ref.kind, tuple(settle(readings.get(ref.meter, ()))))
        for ref in METERS[device]
    ]
    return roll_bucket(
        views,
        RATES[device],
        lambda subject, at_ms: workload_of(bucket.claims.get(subject, ()), at_ms),
        bucket.reservations.get(device, ()),
        bucket.start_ms,
        bucket.end_ms,
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
    of_subject = {
        claim.subject: [c for c in claims if c.subject == claim.subject] for claim in claims
    }
    inside = {
        device: [r for r in held if r.start_ms < r.end_ms and r.end_ms > START and r.start_ms < END]
        for device, held in reservations.items()
    }
    bucket = Bucket(START, METERS, inside, of_subject)
    rolled, others = roll_columns(bucket, columns_of(rows), RATES)
    assert sorted([*rolled, *others]) == [1, 2, 3]
    for device, found in rolled.items():
        assert found == by_the_rule(bucket, rows, device)


def test_what_is_plain_is_taken_and_only_that() -> None:
    plain = [(START + n * 10_000, 21, 1, 10_000, 5, 1) for n in range(1, 31)]
    bucket = Bucket(START, METERS, {}, {})
    assert roll_columns(bucket, columns_of(plain), RATES)[1] == []
    overlapping = (START + 95_000, 21, 2, 10_000, 5, 1)
    assert roll_columns(bucket, columns_of([*plain, overlapping]), RATES)[1] == [2]
    ends_inside = {2: [Reservation(1, START, START + 5, PPM)]}
    bucket = Bucket(START, METERS, ends_inside, {})
    assert roll_columns(bucket, columns_of(plain), RATES)[1] == [2]
    changes_hands = {1: [Claim(1, 1, START + 5, END, 0)]}
    bucket = Bucket(START, METERS, {}, changes_hands)
    assert roll_columns(bucket, columns_of(plain), RATES)[1] == [2]


def test_what_would_overflow_is_left_to_whole_numbers() -> None:
    much = [(START + 300_000, 21, subject, 300_000, 3 * 10**13, 1) for subject in (1, 2)]
    assert roll_columns(Bucket(START, METERS, {}, {}), columns_of(much), RATES)[1] == [2]
