"""A job history is read once, checked, and put in order of arrival."""

from __future__ import annotations

import numpy as np
import pytest

from carbon.errors import InvalidInput
from carbon.planning.job_history import JobHistory

HOUR_MS = 3_600_000


def test_jobs_below_two_hours_wait_as_short_ones_and_others_as_long_ones():
    jobs = JobHistory.of([0, 0, 0], [7199.0, 7200.0, 90_000.0], [1, 1, 1], 6, 24)
    assert jobs.is_short.tolist() == [True, False, False]
    assert (jobs.wait_ms // HOUR_MS).tolist() == [6, 24, 24]
    assert jobs.latest_start_ms.tolist() == jobs.wait_ms.tolist()
    assert (jobs.latest_end_ms - jobs.latest_start_ms).tolist() == jobs.length_ms.tolist()


def test_jobs_are_put_in_order_of_arrival():
    jobs = JobHistory.of([20, 0, 10], [1, 2, 3], [4, 5, 6])
    assert jobs.arrival_ms.tolist() == [0, 10_000, 20_000]
    assert jobs.length_ms.tolist() == [2000, 3000, 1000]
    assert jobs.cpus.tolist() == [5, 6, 4]


def test_a_length_below_a_millisecond_is_one_millisecond():
    assert JobHistory.of([0], [1e-9], [1]).length_ms.tolist() == [1]


def test_only_some_jobs_can_be_taken():
    jobs = JobHistory.of([0, 10, 20], [1, 2, 3], [4, 5, 6]).only(np.array([2, 0]))
    assert len(jobs) == 2
    assert jobs.cpus.tolist() == [6, 4]


@pytest.mark.parametrize(
    ("arrival", "length", "cpus", "code", "row"),
    [
        ([], [], [], "no_jobs", None),
        ([0, 1], [1], [1, 1], "columns_differ", None),
        ([0, -1], [1, 1], [1, 1], "bad_job", 2),
        ([0, 1], [1, 0], [1, 1], "bad_job", 2),
        ([0, 1], [1, 1], [0, 1], "bad_job", 1),
        ([0, float("nan")], [1, 1], [1, 1], "bad_job", 2),
        ([0, 1], [float("inf"), 1], [1, 1], "bad_job", 1),
    ],
)
def test_a_bad_history_is_refused_with_its_first_bad_row(arrival, length, cpus, code, row):
    with pytest.raises(InvalidInput) as refused:
        JobHistory.of(arrival, length, cpus)
    assert refused.value.code == code
    assert refused.value.extra.get("row") == row


@pytest.mark.parametrize("wait_h", [-1.0, float("nan"), float("inf")])
def test_a_wait_that_is_no_time_is_refused(wait_h):
    with pytest.raises(InvalidInput, match="wait"):
        JobHistory.of([0], [1], [1], long_wait_h=wait_h)
