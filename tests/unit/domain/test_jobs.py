"""The states of a job and the moves between them."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
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


@given(st.data())
def test_every_walk_reaches_an_end_or_can_go_on(data: st.DataObject) -> None:
    state = JobState.WAITING
    for _ in range(20):
        if state.is_final:
            return
        after = data.draw(st.sampled_from(sorted(MOVES[state])))
        check_move("j", state, after)
        state = after
    assert any(s.is_final for s in MOVES[state])
