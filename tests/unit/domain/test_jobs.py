"""The states of a job and the moves between them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carbon.domain.jobs import MOVES, JobState, check_move
from carbon.errors import Conflicting

FINAL = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


@pytest.mark.parametrize(("before", "after"), list(product(JobState, JobState)))
def test_a_move_is_made_or_refused_as_the_table_says(before: JobState, after: JobState) -> None:
    if after in MOVES[before]:
        check_move("job_1", before, after)
        return
    with pytest.raises(Conflicting) as caught:
        check_move("job_1", before, after)
    assert caught.value.code == "job_state"
    assert "job_1" in caught.value.detail


def test_every_state_is_in_the_table() -> None:
    assert MOVES.keys() == set(JobState)


def test_an_ended_job_stays_ended() -> None:
    assert {state for state in JobState if state.is_final} == FINAL


def test_whatever_has_not_ended_can_be_cancelled() -> None:
    assert all(JobState.CANCELLED in MOVES[state] for state in set(JobState) - FINAL)


def test_nothing_succeeds_that_has_not_run() -> None:
    assert [s for s in JobState if JobState.SUCCEEDED in MOVES[s]] == [
        JobState.RUNNING,
        JobState.PAUSED,  # it may end between two looks, before we see it go on
    ]


@given(st.lists(st.integers(0, 59), max_size=20))
@example([0])  # ends with the last step, after which there is none
def test_every_walk_reaches_an_end_or_can_go_on(turns: list[int]) -> None:
    state = JobState.WAITING
    for turn in turns:
        if state.is_final:
            return
        ways = sorted(MOVES[state])
        after = ways[turn % len(ways)]
        check_move("j", state, after)
        state = after
    assert state.is_final or any(s.is_final for s in MOVES[state])
