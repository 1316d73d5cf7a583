"""From looks to energy: conservation first, then each way in which a meter can fail."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carbon.collect.faults import Fault, FaultKind
from carbon.collect.odometer import Closed, Odometer
from carbon.collect.source import Device, DeviceKind, Sample
from carbon.domain.energy import Method

MS = 1_000_000
S = 1_000 * MS
GPU = Device("GPU-1", DeviceKind.GPU, "Scripted", power_limit_mw=700_000)


def look(
    at_ms: float,
    counter_mj: int | None = None,
    power_mw: int | None = None,
    *,
    averaged: bool = False,
    modelled: bool = False,
) -> Sample:
    return Sample(GPU.uuid, round(at_ms * MS), counter_mj, power_mw, averaged, modelled)


def observe_all(odometer: Odometer, looks: Sequence[Sample]) -> list[Fault]:
    return [fault for sample in looks for fault in odometer.observe(sample)]


def close_all(odometer: Odometer, at_ms: float) -> list[Closed]:
    closed = []
    while (one := odometer.close(round(at_ms * MS))) is not None:
        closed.append(one)
    return closed


def kinds(faults: Sequence[Fault]) -> list[FaultKind]:
    return [fault.kind for fault in faults]


# Properties

steps_ms = st.lists(st.integers(1, 1900), min_size=1, max_size=40)
#: At most 1 kW over a step: below 1.5 x the limit.
powers_mw = st.integers(0, 1_000_000)


@st.composite
def counted_looks(draw: st.DrawFn) -> list[Sample]:
    at_ms, counter_mj = 0, draw(st.integers(0, 10**15))
    looks = [look(at_ms, counter_mj)]
    for step_ms in draw(steps_ms):
        at_ms += step_ms
        # At least 1 mJ: a counter that stands still while power is drawn is another story.
        counter_mj += 1 + draw(powers_mw) * step_ms // 1000
        looks.append(look(at_ms, counter_mj, draw(st.none() | powers_mw)))
    return looks


def rise_mj(looks: Sequence[Sample]) -> int:
    first, last = looks[0].counter_mj, looks[-1].counter_mj
    assert first is not None
    assert last is not None
    return last - first


@given(counted_looks(), st.lists(st.integers(0, 80_000), max_size=20))
def test_periods_sum_to_the_counter_exactly(looks: list[Sample], marks_ms: list[int]) -> None:
    odometer = Odometer(Device("GPU-1", DeviceKind.GPU, "m"))
    observe_all(odometer, looks)
    end_ms = looks[-1].at_ns // MS
    marks = sorted({m for m in marks_ms if m < end_ms} | {end_ms})
    closed = [one for mark in marks for one in close_all(odometer, mark)]
    assert sum(one.energy_mj for one in closed) == rise_mj(looks)


@given(counted_looks(), st.data())
def test_periods_closed_while_looks_come_sum_to_the_counter_exactly(
    looks: list[Sample], data: st.DataObject
) -> None:
    """Boundaries ahead of the latest look are held; the looks that follow settle it."""
    odometer = Odometer(Device("GPU-1", DeviceKind.GPU, "m"))
    closed: list[Closed] = []
    for sample, following in pairwise(looks):
        odometer.observe(sample)
        ahead_ms = data.draw(st.integers(-500, (following.at_ns - sample.at_ns) // MS + 300))
        closed += close_all(odometer, sample.at_ns / MS + ahead_ms)
    # A last stretch long and strong enough to pay off whatever was held.
    last = looks[-1]
    odometer.observe(last)
    assert last.counter_mj is not None
    end = look(last.at_ns / MS + 2000, last.counter_mj + 20_000_000)
    odometer.observe(end)
    closed += close_all(odometer, end.at_ns / MS)
    assert sum(one.energy_mj for one in closed) == rise_mj([*looks, end])


def test_what_is_left_of_a_held_step_does_not_set_the_power_that_is_held_next() -> None:
    """A step's energy that is booked in its last ms is that of the whole step."""
    odometer = Odometer(Device("GPU-1", DeviceKind.GPU, "m"))
    for at_ms, counter_mj in ((0, 0), (10, 10)):
        odometer.observe(look(at_ms, counter_mj))
    close_all(odometer, 309)
    odometer.observe(look(310, 60_010))  # 200 W
    held = close_all(odometer, 610)
    assert sum(one.energy_mj for one in held) <= 2 * 60_010


@given(
    st.lists(
        st.tuples(
            st.integers(1, 6000),
            st.none() | st.integers(0, 10**9),
            st.none() | st.integers(-5, 10**7),
            st.booleans(),
            st.integers(-3000, 3000),
        ),
        max_size=40,
    )
)
@example(  # a counter that comes back and stood still, where power had stood in for it
    [
        (1, 0, None, False, 0),
        (1, None, None, False, 0),
        (1, None, 500, False, 0),
        (1, 0, None, False, 1),
    ]
)
def test_whatever_is_observed_periods_are_ordered_disjoint_and_never_negative(
    ticks: list[tuple[int, int | None, int | None, bool, int]],
) -> None:
    odometer, at_ms = Odometer(GPU), 0
    closed: list[Closed] = []
    for step_ms, counter_mj, power_mw, averaged, ahead_ms in ticks:
        at_ms += step_ms
        odometer.observe(look(at_ms, counter_mj, power_mw, averaged=averaged))
        closed += close_all(odometer, at_ms + ahead_ms)
    assert all(one.energy_mj >= 0 for one in closed)
    assert all(one.start_ns < one.end_ns for one in closed)
    assert all(0 < one.covered_ns <= one.end_ns - one.start_ns for one in closed)
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(closed))


@given(st.lists(st.tuples(st.integers(1, 1900), st.integers(0, 10**6)), min_size=1, max_size=40))
def test_integrated_power_loses_nothing_to_rounding(ticks: list[tuple[int, int]]) -> None:
    odometer, at_ms, before_mw, doubled = Odometer(GPU), 0, 5, 0
    odometer.observe(look(0, power_mw=before_mw))
    for step_ms, power_mw in ticks:
        at_ms += step_ms
        doubled += (before_mw + power_mw) * step_ms
        before_mw = power_mw
        odometer.observe(look(at_ms, power_mw=power_mw))
    (closed,) = close_all(odometer, at_ms)
    assert closed.energy_mj == doubled // 2000
    assert closed.method is Method.INTEGRATED


# The boundary


def test_a_boundary_between_two_looks_shares_their_energy_by_time() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 0), look(1000, 100)])
    assert odometer.close(250 * MS) == Closed(25, Method.COUNTER, 0, 250 * MS, 250 * MS)
    assert odometer.close(S) == Closed(75, Method.COUNTER, 250 * MS, S, 750 * MS)


def test_a_boundary_after_the_last_look_holds_its_power_and_is_settled_by_the_next() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 0, 100_000), look(1000, 100_000, 100_000)])
    ahead = odometer.close(1500 * MS)
    assert ahead == Closed(150_000, Method.COUNTER, 0, 1500 * MS, 1500 * MS)
    odometer.observe(look(2000, 160_000, 20_000))
    assert odometer.close(2 * S) == Closed(10_000, Method.COUNTER, 1500 * MS, 2 * S, 500 * MS)


def test_what_was_held_too_high_is_taken_from_the_steps_that_follow() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 0, 100_000), look(1000, 100_000, 100_000)])
    assert odometer.close(2 * S) is not None
    observe_all(odometer, [look(2000, 110_000), look(3000, 150_000), look(4000, 230_000)])
    energies = [one.energy_mj for ms in (3000, 4000) for one in close_all(odometer, ms)]
    assert energies == [0, 30_000]  # 200 J were handed out already


def test_a_look_with_a_stamp_before_the_held_boundary_loses_nothing() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 0, 100_000), look(100, 10_000, 100_000)])
    first = odometer.close(200 * MS)
    observe_all(odometer, [look(190, 25_000, 100_000), look(300, 36_000, 100_000)])
    second = odometer.close(300 * MS)
    assert first is not None
    assert second is not None
    assert first.energy_mj + second.energy_mj == 36_000


def test_power_is_held_for_two_seconds_and_no_longer() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 0, 1000), look(1000, 1000, 1000)])
    assert close_all(odometer, 3001) == [Closed(1000, Method.COUNTER, 0, S, S)]
    assert close_all(odometer, 9000) == []


def test_nothing_is_known_before_the_first_look_nor_twice() -> None:
    odometer = Odometer(GPU)
    assert odometer.close(S) is None
    odometer.observe(look(2000, 5))
    assert odometer.close(S) is None
    assert odometer.close(2500 * MS) is None  # one counter reading says nothing of power
    odometer.observe(look(3000, 10))
    assert odometer.close(3 * S) is not None
    assert odometer.close(3 * S) is None


# The ladder


@pytest.mark.parametrize(
    ("looks", "method"),
    [
        ([look(0, 0, 1000), look(1000, 1000, 1000)], Method.COUNTER),
        ([look(0, None, 1000), look(1000, None, 1000)], Method.INTEGRATED),
        ([look(0, None, 1000, averaged=True), look(1000, None, 1000)], Method.AVERAGED),
        ([look(0, None, 1000, modelled=True), look(1000, None, 1000)], Method.MODELLED),
    ],
)
def test_the_best_rung_that_both_looks_offer_is_taken(looks: list[Sample], method: Method) -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, looks)
    assert odometer.close(S) == Closed(1000, method, 0, S, S)


def test_modelled_power_is_the_mean_since_the_look_before() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, None, 9000, modelled=True), look(1000, None, 40, modelled=True)])
    (closed,) = close_all(odometer, 1000)
    assert closed.energy_mj == 40


def test_one_look_without_counter_changes_neither_the_sum_nor_the_method() -> None:
    odometer = Odometer(GPU)
    looks = [look(0, 0, 100_000), look(100, None, 500_000), look(200, 20_000, 100_000)]
    assert observe_all(odometer, looks) == []
    observe_all(odometer, [look(300, 60_000, 100_000), look(20_000, 0)])
    (closed,) = close_all(odometer, 300)
    assert closed.energy_mj == 60_000


def test_a_counter_that_goes_away_is_replaced_by_power_and_taken_up_again() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(ms, ms * 100, 100_000) for ms in range(0, 1001, 100)])
    observe_all(odometer, [look(ms, None, 100_000) for ms in range(1100, 10_001, 100)])
    observe_all(odometer, [look(ms, ms * 105, 100_000) for ms in range(10_100, 20_001, 100)])
    by_method = [(one.method, one.energy_mj) for ms in (1000, 10_000, 10_100, 20_000)
                 for one in close_all(odometer, ms)]  # fmt: skip
    assert by_method == [
        (Method.COUNTER, 100_000),
        (Method.INTEGRATED, 900_000),
        (Method.INTEGRATED, 10_000),  # the counter's drift meanwhile is not dumped into one step
        (Method.COUNTER, 1_039_500),
    ]


def test_a_period_takes_the_worst_method_that_covers_a_hundredth_of_it() -> None:
    def closed_at(end_ms: int) -> Closed:
        odometer = Odometer(GPU)
        observe_all(odometer, [look(0, 500, 10_000), look(100, 0, 10_000)])
        observe_all(odometer, [look(ms, ms, 10_000) for ms in range(1100, end_ms + 1, 1000)])
        (closed,) = close_all(odometer, end_ms)
        return closed

    assert closed_at(1100).method is Method.INTEGRATED
    assert closed_at(20_100).method is Method.COUNTER


# Faults


def test_a_reset_begins_a_new_epoch_and_its_step_comes_from_power() -> None:
    odometer = Odometer(GPU)
    looks = [look(0, 9_000_000, 200_000), look(100, 9_020_000, 200_000), look(200, 4, 200_000)]
    faults = observe_all(odometer, [*looks, look(300, 20_004, 200_000)])
    assert kinds(faults) == [FaultKind.COUNTER_RESET]
    assert faults[0].device == GPU.uuid
    assert faults[0].at_ns == 200 * MS
    assert [one.energy_mj for ms in (100, 200, 300) for one in close_all(odometer, ms)] == [
        20_000
    ] * 3


def test_an_impossible_jump_is_not_counted() -> None:
    odometer = Odometer(GPU)
    looks = [look(0, 1000, 200_000), look(100, 21_000, 200_000), look(200, 10**15, 200_000)]
    faults = observe_all(odometer, [*looks, look(300, 10**15 + 20_000, 200_000)])
    assert kinds(faults) == [FaultKind.COUNTER_JUMP]
    (closed,) = close_all(odometer, 300)
    assert closed.energy_mj == 60_000


def test_two_updates_of_the_counter_in_one_step_are_not_a_jump() -> None:
    odometer = Odometer(GPU)
    faults = observe_all(odometer, [look(0, 0, 700_000), look(99, 140_000, 700_000)])
    assert faults == []


def test_a_step_without_believable_meter_is_left_uncovered() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 500), look(100, 600), look(200, 3), look(300, 103)])
    assert close_all(odometer, 300) == [Closed(200, Method.COUNTER, 0, 300 * MS, 200 * MS)]


def test_a_stuck_counter_is_found_and_made_good_by_power() -> None:
    odometer = Odometer(GPU)
    faults = observe_all(odometer, [look(ms, 77, 100_000) for ms in range(0, 5001, 100)])
    assert kinds(faults) == [FaultKind.COUNTER_STUCK]
    faults = observe_all(
        odometer, [look(ms, 10**6 + ms * 100, 100_000) for ms in range(5100, 9001, 100)]
    )
    assert faults == []
    assert sum(one.energy_mj for one in close_all(odometer, 9000)) == 900_000


def test_a_counter_may_stand_still_where_no_power_is_drawn() -> None:
    odometer = Odometer(GPU)
    assert observe_all(odometer, [look(ms, 77, 0) for ms in range(0, 9001, 100)]) == []
    assert close_all(odometer, 9000)[0].method is Method.COUNTER


def test_time_without_looks_is_bridged_by_the_counter_in_a_period_of_its_own() -> None:
    odometer = Odometer(GPU)
    faults = observe_all(
        odometer, [look(0, 0), look(1000, 100), look(11_000, 5100), look(12_000, 5200)]
    )
    assert kinds(faults) == [FaultKind.GAP]
    assert close_all(odometer, 12_000) == [
        Closed(100, Method.COUNTER, 0, S, S),
        Closed(5000, Method.BRIDGED, S, 11 * S, 10 * S),
        Closed(100, Method.COUNTER, 11 * S, 12 * S, S),
    ]


def test_what_was_held_into_an_outage_is_not_bridged_again() -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 0, 1000), look(1000, 1000, 1000)])
    close_all(odometer, 2000)
    observe_all(odometer, [look(11_000, 9000, 1000)])
    assert close_all(odometer, 11_000) == [Closed(7000, Method.BRIDGED, 2 * S, 11 * S, 9 * S)]


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (look(11_000, None, 1000), [FaultKind.GAP]),
        (look(11_000, 5, 1000), [FaultKind.GAP, FaultKind.COUNTER_RESET]),
        (look(11_000, 10**12, 1000), [FaultKind.GAP, FaultKind.COUNTER_JUMP]),
    ],
)
def test_an_outage_without_a_believable_rise_stays_unknown(
    after: Sample, found: list[FaultKind]
) -> None:
    odometer = Odometer(GPU)
    observe_all(odometer, [look(0, 1000, 1000), look(1000, 2000, 1000)])
    assert kinds(odometer.observe(after)) == found
    odometer.observe(look(12_000, None, 1000))
    assert close_all(odometer, 12_000) == [
        Closed(1000, Method.COUNTER, 0, S, S),
        Closed(1000, Method.INTEGRATED, 11 * S, 12 * S, S),
    ]


def test_power_beyond_the_limit_is_refused_once_in_words_and_always_in_sums() -> None:
    odometer = Odometer(GPU)
    looks = [look(ms, None, 100_000) for ms in range(0, 1001, 100)]
    wild = [look(ms, None, 2_000_000) for ms in range(1100, 1501, 100)]
    after = [look(ms, None, 100_000) for ms in range(1600, 2001, 100)]
    assert kinds(observe_all(odometer, looks + wild + after)) == [FaultKind.POWER_IMPLAUSIBLE]
    assert sum(one.energy_mj for one in close_all(odometer, 2000)) == 200_000


@pytest.mark.parametrize(("gain_percent", "found"), [(104, 0), (107, 2), (93, 2)])
def test_counter_and_power_are_compared_each_minute(gain_percent: int, found: int) -> None:
    odometer = Odometer(GPU)
    looks = [look(ms, ms * gain_percent, 100_000) for ms in range(0, 120_001, 100)]
    faults = observe_all(odometer, looks)
    assert kinds(faults) == [FaultKind.METERS_DISAGREE] * found


def test_a_look_that_is_late_or_empty_is_passed_over() -> None:
    odometer = Odometer(GPU)
    looks = [
        look(0, 0),
        look(1000, 100),
        look(500, 70),
        look(1000, 900),
        look(1500),
        look(2000, 200),
    ]
    assert observe_all(odometer, looks) == []
    assert close_all(odometer, 2000) == [Closed(200, Method.COUNTER, 0, 2 * S, 2 * S)]


# Error against a known truth


class BurstyTrace:
    """140 <-> 600 W in phases of about 250 ms; its energy is known exactly."""

    def __init__(self, seed: int, until_ms: int) -> None:
        rng = random.Random(seed)
        self.marks = [(0, 0)]  # (ms, µJ drawn until then)
        self.powers: list[int] = []
        while self.marks[-1][0] < until_ms:
            at_ms, drawn_uj = self.marks[-1]
            power_mw = 600_000 if len(self.powers) % 2 else 140_000
            span_ms = max(1, round(rng.lognormvariate(5.3, 0.6)))
            self.marks.append((at_ms + span_ms, drawn_uj + power_mw * span_ms))
            self.powers.append(power_mw)
        self._at = 0

    def energy_mj(self, at_ms: int) -> int:
        """Asked mostly in order of time; walks to the phase."""
        while self.marks[self._at][0] > at_ms:
            self._at -= 1
        while self.marks[self._at + 1][0] <= at_ms:
            self._at += 1
        start_ms, drawn_uj = self.marks[self._at]
        return (drawn_uj + self.powers[self._at] * (at_ms - start_ms)) // 1000

    def power_mw(self, at_ms: int) -> int:
        self.energy_mj(at_ms)
        return self.powers[self._at]


def relative_errors(window_ms: int, windows: int, *, counted: bool) -> list[float]:
    """Windows at random starts; looks each 100 ms with jitter, a counter that moves each 100 ms."""
    rng = random.Random(7)
    trace = BurstyTrace(11, windows * window_ms + 10_000)
    odometer, errors, at_ms = Odometer(GPU), [], 37
    bounds = [501 + rng.randrange(100) + k * window_ms for k in range(windows + 1)]
    for begin, end in pairwise(bounds):
        while at_ms < end:
            counter_mj = trace.energy_mj(at_ms // 100 * 100) if counted else None
            assert not odometer.observe(look(at_ms, counter_mj, trace.power_mw(at_ms)))
            at_ms += 100 + rng.randrange(-5, 6)
        got = sum(one.energy_mj for one in close_all(odometer, end))
        truth = trace.energy_mj(end) - trace.energy_mj(begin)
        errors.append(abs(got - truth) / truth)
    return errors[1:]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def test_a_100_ms_counter_on_a_bursty_trace_errs_by_a_thousandth_over_a_minute() -> None:
    errors = relative_errors(60_000, 30, counted=True)
    assert mean(errors) <= 0.001


def test_and_by_a_hundredth_over_five_seconds() -> None:
    errors = relative_errors(5_000, 120, counted=True)
    assert mean(errors) <= 0.01
    assert sorted(errors)[round(0.95 * len(errors))] <= 0.02


def test_integrated_power_at_10_hz_stays_within_15_thousandths_over_a_minute() -> None:
    assert mean(relative_errors(60_000, 30, counted=False)) <= 0.015
