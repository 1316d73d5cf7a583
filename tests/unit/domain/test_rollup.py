"""One device and bucket: energy conserved, priced once, its time held by somebody."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.domain.emissions import operational_ng
from carbon.domain.energy import MeterKind, MeterView, Method, Reading, settle
from carbon.domain.rollup import BucketRow, Rate, Reservation, roll_bucket
from carbon.domain.units import BUCKET_MS, PPM

RATE = Rate(rating=1, vintage=7, g_per_kwh=321.5, pue=1.2)
MINUTE = 60_000


def same_workload(subject: int, _at_ms: int) -> int:
    return subject * 10


def rolled(
    views: Sequence[MeterView],
    reservations: Sequence[Reservation] = (),
    workload_at: Callable[[int, int], int] = same_workload,
    start_ms: int = 0,
    end_ms: int = BUCKET_MS,
) -> list[BucketRow]:
    return roll_bucket(views, RATE, workload_at, reservations, start_ms, end_ms)


def reading(
    start_ms: int,
    end_ms: int,
    energy_mj: int,
    subject: int = 1,
    method: Method = Method.COUNTER,
    meter: int = 1,
) -> Reading:
    return Reading(meter, subject, start_ms, end_ms, energy_mj, method)


def view(*readings: Reading, kind: MeterKind = MeterKind.AGENT) -> MeterView:
    return MeterView(readings[0].meter if readings else 1, kind, tuple(settle(readings)))


#: Of a meter: (subject, start, span in steps of 10 s, mJ, method).
drawn_readings = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 29),
        st.integers(1, 8),
        st.integers(0, 10_000_019),
        st.sampled_from(Method),
    ),
    max_size=12,
)


def meters_of(*drawn: list[tuple[int, int, int, int, Method]]) -> list[MeterView]:
    views = []
    for meter, rows in enumerate(drawn, start=1):
        readings = {
            (subject, start, span): reading(
                start * 10_000, min((start + span) * 10_000, BUCKET_MS), mj, subject, method, meter
            )
            for subject, start, span, mj, method in rows
        }
        views.append(MeterView(meter, MeterKind.AGENT, tuple(settle(readings.values()))))
    return views


@given(drawn_readings, drawn_readings)
def test_energy_sums_to_the_counting_meter_exactly(
    one: list[tuple[int, int, int, int, Method]], other: list[tuple[int, int, int, int, Method]]
) -> None:
    views = meters_of(one, other)
    rows = rolled(views)
    meters = {row.meter for row in rows}
    assert len(meters) <= 1
    counted = [r for v in views if v.meter in meters for r in v.readings]
    assert sum(row.energy_mj for row in rows) == sum(r.energy_mj for r in counted)


@given(drawn_readings)
def test_each_row_is_priced_with_the_bucket_s_rate_and_pue_once(
    drawn: list[tuple[int, int, int, int, Method]],
) -> None:
    for row in rolled(meters_of(drawn)):
        assert row.operational_ng == operational_ng(row.energy_mj, 321.5, 1.2)


@given(drawn_readings)
def test_unreserved_time_is_held_by_those_who_drew_and_sums_to_what_was_covered(
    drawn: list[tuple[int, int, int, int, Method]],
) -> None:
    views = meters_of(drawn)
    covered = views[0].covered_ms
    assert sum(row.reserved_ms for row in rolled(views)) == covered


@given(drawn_readings, drawn_readings, st.lists(st.integers(0, BUCKET_MS), max_size=4))
def test_windows_of_a_bucket_sum_to_the_bucket(
    one: list[tuple[int, int, int, int, Method]],
    other: list[tuple[int, int, int, int, Method]],
    marks: list[int],
) -> None:
    """Also where two meters see parts of it: one meter counts in all its windows."""
    views = meters_of(one, other)
    edges = sorted({0, BUCKET_MS, *marks})
    parts = [row for lo, hi in pairwise(edges) for row in rolled(views, (), start_ms=lo, end_ms=hi)]
    whole = rolled(views)
    assert {row.meter for row in parts} <= {row.meter for row in whole}
    assert _energy(parts) == _energy(whole)
    assert sum(row.covered_ms for row in parts) == sum(row.covered_ms for row in whole)
    assert sum(row.reserved_ms for row in parts) == sum(row.reserved_ms for row in whole)


def _energy(rows: Sequence[BucketRow]) -> Counter[tuple[int, int]]:
    sums: Counter[tuple[int, int]] = Counter()
    for row in rows:
        sums[row.subject, int(row.method)] += row.energy_mj
    return +sums


@given(drawn_readings, drawn_readings, st.randoms(use_true_random=False))
def test_the_order_of_meters_and_readings_changes_no_row(
    one: list[tuple[int, int, int, int, Method]],
    other: list[tuple[int, int, int, int, Method]],
    rng: random.Random,
) -> None:
    views = meters_of(one, other)
    shuffled = [
        MeterView(v.meter, v.kind, tuple(rng.sample(v.readings, len(v.readings)))) for v in views
    ]
    rng.shuffle(shuffled)
    assert rolled(shuffled) == rolled(views)


def test_nothing_read_is_no_row() -> None:
    assert rolled([]) == []
    assert rolled([MeterView(1, MeterKind.AGENT, ())]) == []


def test_two_meters_of_a_device_are_never_added() -> None:
    agent = view(reading(0, BUCKET_MS, 1_000))
    importer = view(reading(0, BUCKET_MS, 1_300, meter=2), kind=MeterKind.IMPORTER)
    assert sum(row.energy_mj for row in rolled([importer, agent])) == 1_000


def test_a_window_of_a_bucket_is_read_from_the_meter_that_counts_in_the_bucket() -> None:
    """The agent saw the first 4 minutes only, so the importer counts, in every window."""
    agent = view(reading(0, 4 * MINUTE, 4_000))
    importer = view(reading(0, BUCKET_MS, 50_000, meter=2), kind=MeterKind.IMPORTER)
    first = rolled([agent, importer], end_ms=2 * MINUTE)
    assert [(row.meter, row.energy_mj) for row in first] == [(2, 20_000)]


def test_a_reservation_holds_the_device_whoever_drew() -> None:
    drew = view(reading(0, BUCKET_MS, 5_000, subject=2))
    rows = rolled([drew], [Reservation(1, 0, BUCKET_MS, PPM)])
    assert {row.subject: row.reserved_ms for row in rows} == {2: 0, 1: BUCKET_MS}
    assert {row.subject: row.energy_mj for row in rows} == {2: 5_000, 1: 0}
    assert {row.subject: row.workload for row in rows} == {2: 20, 1: 10}


def test_half_a_device_reserved_leaves_the_other_half_to_who_drew() -> None:
    drew = view(reading(0, BUCKET_MS, 5_000, subject=2))
    rows = rolled([drew], [Reservation(1, 0, BUCKET_MS, PPM // 2)])
    assert {row.subject: row.reserved_ms for row in rows} == {
        1: BUCKET_MS // 2,
        2: BUCKET_MS // 2,
    }


def test_a_reserver_that_draws_holds_its_share_and_no_more() -> None:
    drew = view(reading(0, BUCKET_MS, 5_000), reading(0, BUCKET_MS, 3_000, subject=2))
    rows = rolled([drew], [Reservation(1, 0, BUCKET_MS, 250_000)])
    assert {row.subject: row.reserved_ms for row in rows} == {
        1: BUCKET_MS // 4,
        2: BUCKET_MS * 3 // 4,
    }


def test_free_time_is_split_by_each_span_s_own_energy() -> None:
    drew = view(
        reading(0, MINUTE, 3_000),
        reading(0, MINUTE, 1_000, subject=2),
        reading(MINUTE, 2 * MINUTE, 0, subject=1),
        reading(MINUTE, 2 * MINUTE, 0, subject=2),
    )
    rows = rolled([drew])
    assert {row.subject: row.reserved_ms for row in rows} == {1: 75_000, 2: 45_000}


def test_a_subject_of_two_methods_holds_its_time_once() -> None:
    drew = view(
        reading(0, MINUTE, 3_000, method=Method.MODELLED),
        reading(MINUTE, 2 * MINUTE, 3_000, method=Method.COUNTER),
    )
    rows = rolled([drew])
    assert {row.method: row.reserved_ms for row in rows} == {
        Method.COUNTER: 2 * MINUTE,
        Method.MODELLED: 0,
    }


def test_a_subject_that_changes_hands_in_a_bucket_has_a_row_for_each() -> None:
    drew = view(reading(0, MINUTE, 1_000), reading(MINUTE, 2 * MINUTE, 500))
    rows = rolled([drew], workload_at=lambda _subject, at_ms: 10 if at_ms < MINUTE else 20)
    assert {row.workload: row.energy_mj for row in rows} == {10: 1_000, 20: 500}


@pytest.mark.parametrize("end_ms", [1, 12_345, BUCKET_MS])
def test_a_reservation_outside_the_window_holds_nothing_in_it(end_ms: int) -> None:
    drew = view(reading(0, BUCKET_MS, 5_000, subject=2))
    rows = rolled([drew], [Reservation(1, end_ms, end_ms + 5, PPM)], end_ms=end_ms)
    assert {row.subject: row.reserved_ms for row in rows} == {2: end_ms}
