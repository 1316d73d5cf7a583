"""Energy intervals: cut without loss, settled without counting twice, one meter a bucket."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.domain.energy import (
    MeterKind,
    MeterView,
    Method,
    Reading,
    clip,
    counting_meter,
    covered_ms,
    cut,
    energy_until,
    settle,
)
from carbon.domain.units import BUCKET_MS

starts = st.integers(min_value=0, max_value=1 << 42)
amounts = st.integers(min_value=0, max_value=1 << 53)
#: From a millisecond to a month, short ones as often as long ones.
spans = st.one_of(
    st.integers(1, 10), st.integers(1, 2 * BUCKET_MS), st.integers(1, 31 * 86_400_000)
)


@settings(max_examples=3_000)
@given(starts, st.one_of(st.integers(1, 10), st.integers(1, 40 * BUCKET_MS)), amounts)
def test_pieces_sum_to_the_whole_and_each_lies_in_one_bucket(
    start_ms: int, span_ms: int, amount: int
) -> None:
    pieces = list(cut(start_ms, start_ms + span_ms, amount))
    assert sum(piece[2] for piece in pieces) == amount
    assert (pieces[0][0], pieces[-1][1]) == (start_ms, start_ms + span_ms)
    assert all(one[1] == other[0] for one, other in pairwise(pieces))
    for lo, hi, part in pieces:
        assert lo < hi
        assert lo // BUCKET_MS == (hi - 1) // BUCKET_MS
        assert part >= 0
        assert abs(part * span_ms - amount * (hi - lo)) < span_ms  # within 1 mJ of even


@given(starts, spans, amounts, st.integers(1, 1 << 40))
def test_any_width_cuts_at_its_own_marks(
    start_ms: int, span_ms: int, amount: int, width_ms: int
) -> None:
    width_ms = max(width_ms, span_ms // 200 + 1)
    pieces = list(cut(start_ms, start_ms + span_ms, amount, width_ms))
    assert sum(piece[2] for piece in pieces) == amount
    assert all(lo % width_ms == 0 for lo, _, _ in pieces[1:])


def test_a_month_at_once_is_cut_into_all_its_buckets() -> None:
    month_ms = 31 * 86_400_000
    pieces = list(cut(0, month_ms, 1_000_003))
    assert len(pieces) == month_ms // BUCKET_MS
    assert sum(piece[2] for piece in pieces) == 1_000_003


def test_an_empty_span_has_no_pieces() -> None:
    assert list(cut(5, 5, 100)) == []


readings = st.builds(
    lambda subject, start, span, mj, method: Reading(1, subject, start, start + span, mj, method),
    st.integers(1, 3),
    st.integers(0, 40),
    st.integers(1, 15),
    st.integers(0, 1_000),
    st.sampled_from(Method),
)


@given(readings, st.lists(st.integers(0, 60), min_size=1, max_size=5))
def test_windows_of_a_reading_sum_to_the_reading(reading: Reading, marks: list[int]) -> None:
    edges = sorted({0, 60, *marks})
    parts = [part for lo, hi in pairwise(edges) if (part := clip(reading, lo, hi))]
    assert sum(part.energy_mj for part in parts) == reading.energy_mj
    assert sum(part.span_ms for part in parts) == reading.span_ms


@given(starts, spans, amounts)
def test_energy_until_runs_from_nothing_to_all(start_ms: int, span_ms: int, amount: int) -> None:
    end_ms = start_ms + span_ms
    assert energy_until(amount, start_ms, end_ms, start_ms) == 0
    assert energy_until(amount, start_ms, end_ms, end_ms) == amount


@given(st.lists(readings, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_change_what_counts(
    given_readings: list[Reading], rng: random.Random
) -> None:
    unique = list({(r.start_ms, r.end_ms, r.subject): r for r in given_readings}.values())
    shuffled = list(unique)
    rng.shuffle(shuffled)
    assert Counter(settle(shuffled)) == Counter(settle(unique))


@given(st.lists(readings, max_size=12))
def test_no_instant_counts_from_two_periods(given_readings: list[Reading]) -> None:
    periods = sorted({(r.start_ms, r.end_ms) for r in settle(given_readings)})
    assert all(one[1] <= other[0] for one, other in pairwise(periods))
    assert covered_ms(settle(given_readings)) == covered_ms(given_readings)


@given(st.lists(readings, max_size=10))
def test_what_counts_equals_a_model_that_looks_at_every_millisecond(
    given_readings: list[Reading],
) -> None:
    unique = list({(r.start_ms, r.end_ms, r.subject): r for r in given_readings}.values())
    counted: Counter[tuple[int, int]] = Counter()
    for reading in settle(unique):
        for at in range(reading.start_ms, reading.end_ms):
            counted[at, reading.subject] += 1
    assert counted == Counter(dict.fromkeys(_held_by_instant(unique), 1))


def _held_by_instant(given_readings: list[Reading]) -> Iterator[tuple[int, int]]:
    """(instant, subject) of the readings that hold: shortest span first, then first start.

    A period that lost an instant to an earlier of its own span loses that instant alone.
    """
    for at in range(60):
        here = [r for r in given_readings if r.start_ms <= at < r.end_ms]
        if here:
            span, start = min((r.span_ms, r.start_ms) for r in here)
            yield from {(at, r.subject) for r in here if (r.span_ms, r.start_ms) == (span, start)}


@given(st.lists(readings, max_size=10))
def test_settling_twice_is_settling_once_where_nothing_was_cut(
    given_readings: list[Reading],
) -> None:
    whole = [r for r in settle(given_readings) if r in given_readings]
    assert Counter(settle(whole)) == Counter(whole)


def test_a_longer_reading_keeps_what_no_shorter_one_covers() -> None:
    minute = Reading(1, 1, 0, 60_000, 60_000, Method.AVERAGED)
    second = Reading(1, 2, 10_000, 11_000, 5, Method.COUNTER)
    settled = settle([minute, second])
    assert sum(r.energy_mj for r in settled if r.subject == 1) == 59_000
    assert sum(r.energy_mj for r in settled if r.subject == 2) == 5


def test_subjects_of_one_period_are_added() -> None:
    settled = settle([Reading(1, s, 0, 10, s, Method.COUNTER) for s in (1, 2, 3)])
    assert sum(r.energy_mj for r in settled) == 6


BEST, WORST = Method.COUNTER, Method.ESTIMATED


def view(
    meter: int,
    share: float = 1.0,
    method: Method = Method.COUNTER,
    kind: MeterKind = MeterKind.AGENT,
) -> MeterView:
    end_ms = round(BUCKET_MS * share)
    return MeterView(meter, kind, (Reading(meter, 1, 0, end_ms, 1, method),))


def test_of_full_meters_the_better_method_counts() -> None:
    counter = view(2, method=Method.COUNTER, kind=MeterKind.TRACKER)
    assert counting_meter([view(1, method=Method.MODELLED), counter]) is counter


def test_of_equal_methods_the_agent_counts_before_importer_and_tracker() -> None:
    agent = view(3, kind=MeterKind.AGENT)
    others = [view(1, kind=MeterKind.TRACKER), view(2, kind=MeterKind.IMPORTER)]
    assert counting_meter([*others, agent]) is agent
    assert counting_meter(others).kind is MeterKind.IMPORTER


def test_a_meter_below_nine_tenths_is_outranked_by_any_full_one() -> None:
    full = view(2, method=Method.MODELLED, kind=MeterKind.TRACKER)
    assert counting_meter([view(1, 0.8999, BEST), full]) is full
    at_the_edge = view(1, 0.9, BEST)
    assert counting_meter([at_the_edge, full]) is at_the_edge


def test_where_none_is_full_the_widest_counts() -> None:
    wide = view(2, 0.8, WORST, MeterKind.TRACKER)
    assert counting_meter([view(1, 0.5, BEST), wide]) is wide


def test_a_meter_is_ranked_by_the_method_of_most_of_its_time() -> None:
    mixed = MeterView(
        1,
        MeterKind.AGENT,
        (
            Reading(1, 1, 0, 100_000, 1, Method.COUNTER),
            Reading(1, 1, 100_000, BUCKET_MS, 1, Method.MODELLED),
        ),
    )
    assert mixed.main_method is Method.MODELLED
    integrated = view(2, method=Method.INTEGRATED)
    assert counting_meter([mixed, integrated]) is integrated


views = st.builds(
    view,
    st.integers(1, 9),
    st.floats(min_value=0.01, max_value=1.0),
    st.sampled_from(Method),
    st.sampled_from(MeterKind),
)


@given(
    st.lists(views, min_size=1, max_size=6, unique_by=lambda v: v.meter),
    st.randoms(use_true_random=False),
)
def test_the_counting_meter_does_not_depend_on_the_order(
    given_views: list[MeterView], rng: random.Random
) -> None:
    shuffled = list(given_views)
    rng.shuffle(shuffled)
    assert counting_meter(shuffled).meter == counting_meter(given_views).meter


@pytest.mark.parametrize("method", Method)
def test_a_method_is_found_by_its_label(method: Method) -> None:
    assert Method.of(method.label) is method


def test_what_no_sensor_backs_is_never_called_measured() -> None:
    assert [m.label for m in Method if m.is_measured] == [
        "counter",
        "integrated",
        "averaged",
        "bridged",
    ]
