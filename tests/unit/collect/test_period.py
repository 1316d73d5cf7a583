"""A period's steps become intervals: contiguous ones joined, holes and methods kept apart."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from carbon.collect.period import Period
from carbon.collect.subjects import IDLE, UNATTRIBUTED, Subject
from carbon.domain.energy import Method

A = Subject.of_run("a", "w")

steps = st.lists(
    st.tuples(
        st.sampled_from(["G1", "G2"]),
        st.sampled_from([Method.COUNTER, Method.INTEGRATED]),
        st.integers(0, 50),  # hole before the step, ms
        st.integers(0, 1000),  # its length, ms
        st.dictionaries(st.sampled_from([A, IDLE, UNATTRIBUTED]), st.integers(0, 10_000)),
    ),
    max_size=30,
)


@given(steps)
def test_energy_is_conserved_and_intervals_of_a_device_do_not_overlap(
    given_steps: list[tuple[str, Method, int, int, dict[Subject, int]]],
) -> None:
    period, at_ms, given_mj, lost_mj = Period(), {"G1": 0, "G2": 0}, 0, {"G1": 0, "G2": 0}
    for device, method, hole_ms, length_ms, shares in given_steps:
        start_ms = at_ms[device] + hole_ms
        at_ms[device] = start_ms + length_ms
        period.add(device, method, start_ms, at_ms[device], shares)
        given_mj += sum(shares.values())
        lost_mj[device] = lost_mj[device] + sum(shares.values()) if length_ms == 0 else 0
    intervals = period.intervals()
    # What is too short for a millisecond waits for the device's next step.
    assert sum(i.energy_mj for i in intervals) == given_mj - sum(lost_mj.values())
    keys = [(i.device, i.start_ms, i.end_ms, i.run or i.subject) for i in intervals]
    assert len(keys) == len(set(keys))
    for device in at_ms:
        spans = sorted({(i.start_ms, i.end_ms) for i in intervals if i.device == device})
        assert all(start < end for start, end in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_seconds_of_one_method_are_one_interval() -> None:
    period = Period()
    for second in range(3):
        period.add("G1", Method.COUNTER, second * 1000, second * 1000 + 1000, {A: 5, IDLE: 7})
    by_subject = {i.run or i.subject: i for i in period.intervals()}
    assert (by_subject["a"].start_ms, by_subject["a"].end_ms) == (0, 3000)
    assert by_subject["a"].energy_mj == 15
    assert by_subject["a"].workload == "w"
    assert by_subject["idle"].energy_mj == 21


def test_another_method_begins_another_interval() -> None:
    period = Period()
    period.add("G1", Method.COUNTER, 0, 1000, {A: 5})
    period.add("G1", Method.INTEGRATED, 1000, 2000, {A: 5})
    assert [i.method for i in period.intervals()] == ["counter", "integrated"]


def test_a_hole_is_left_out() -> None:
    period = Period()
    period.add("G1", Method.COUNTER, 0, 1000, {A: 5})
    period.add("G1", Method.COUNTER, 4000, 5000, {A: 5})
    assert [(i.start_ms, i.end_ms) for i in period.intervals()] == [(0, 1000), (4000, 5000)]


def test_a_device_that_drew_nothing_was_still_seen() -> None:
    period = Period()
    period.add("G1", Method.COUNTER, 0, 1000, {A: 0})
    (interval,) = period.intervals()
    assert (interval.subject, interval.energy_mj) == ("idle", 0)


def test_energy_of_no_time_goes_with_the_next_step_even_of_the_next_period() -> None:
    period = Period()
    period.add("G1", Method.COUNTER, 1000, 1000, {A: 3})
    period.clear()
    period.add("G1", Method.COUNTER, 1000, 2000, {A: 4})
    assert period.intervals()[0].energy_mj == 7
