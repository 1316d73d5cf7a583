"""Deferrable jobs: their states and the moves between them."""

from __future__ import annotations

from enum import StrEnum

from carbon.errors import Conflicting


class JobState(StrEnum):
    WAITING = "waiting"  #: placed; its start lies ahead
    STARTING = "starting"  #: an attempt is being handed to the executor
    RUNNING = "running"
    PAUSED = "paused"  #: stands still between two segments of its plan
    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: the command ended with a non-zero exit, or no attempt could be started
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not MOVES[self]


#: The only moves there are. A non-zero exit returns to WAITING only while retries are left.
MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: frozenset({JobState.STARTING, JobState.CANCELLED, JobState.FAILED}),
    JobState.STARTING: frozenset(
        {JobState.RUNNING, JobState.WAITING, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.PAUSED,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.WAITING,
        }
    ),
    JobState.PAUSED: frozenset(
        {
            JobState.RUNNING,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELLED,
            JobState.WAITING,
        }
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def check_move(job: str, before: JobState, after: JobState) -> None:
    """Raises Conflicting(`job_state`) where the state machine has no such move."""
    if after not in MOVES[before]:
        raise Conflicting("job_state", f"job {job} is {before} and cannot become {after}")


class PlacementReason(StrEnum):
    """Why a job starts when it does; each reads as a sentence on the job's page."""

    CLEAN_WINDOW = "clean_window"
    NOW_IS_CLEANEST = "now_is_cleanest"
    LENGTH_UNKNOWN = "length_unknown"
    NO_FORECAST = "no_forecast"
    DEADLINE_GUARD = "deadline_guard"
    ASKED_TO_START = "asked_to_start"
    SCHEDULER_PAUSED = "scheduler_paused"
    #: Held by its own user, and begun or taken away by somebody else than carbon.
    LEFT_THE_QUEUE = "left_the_queue"


class AttemptState(StrEnum):
    HANDED_OVER = "handed_over"  #: in the outbox: the executor is being told
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"  #: the executor knows nothing of it any more
