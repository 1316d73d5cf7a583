"""Jobs as answers show them, each with a sentence for people."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
from msgspec import UNSET

from carbon.clock import to_rfc3339
from carbon.domain.jobs import JobState, PlacementReason
from carbon.services.jobs.requests import JobSpec
from carbon.storage.attempts import AttemptRow
from carbon.storage.job_queries import JobRow, PlacementRow
from carbon.wire.jobs import AttemptAnswer, JobAnswer, PlacementAnswer

_BECAUSE: Final = {
    PlacementReason.CLEAN_WINDOW: "then the forecast is cleanest",
    PlacementReason.NOW_IS_CLEANEST: "no later time is cleaner",
    PlacementReason.LENGTH_UNKNOWN: "its length is not known, and is learned by running it",
    PlacementReason.NO_FORECAST: "nothing known says that waiting helps",
    PlacementReason.DEADLINE_GUARD: "waiting longer could miss its deadline",
    PlacementReason.ASKED_TO_START: "as asked",
    PlacementReason.LEFT_THE_QUEUE: "it waits at its engine no more",
    PlacementReason.SCHEDULER_PAUSED: "the scheduler is paused and holds nothing back",
}
_ENDS: Final = {
    JobState.SUCCEEDED: "Ended well",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
}


#: Of many jobs in one answer the same moments are told again and again.
_told = lru_cache(4096)(to_rfc3339)


def spec_of(row: JobRow) -> JobSpec:
    return msgspec.json.decode(row.spec, type=JobSpec)


def job_answer(row: JobRow, now_ms: int) -> JobAnswer:
    flags = list(spec_of(row).flags)
    if row.power_w is None:
        flags.append("power_assumed")
    placement = row.placement
    return JobAnswer(
        id=row.id,
        state=str(row.state),
        reason=row.reason,
        placement=_placement_answer(row, placement) if placement else None,
        why=why(row, now_ms),
        name=row.name,
        workload=str(row.workload),
        executor=row.executor,
        pool=row.pool,
        deadline=_told(row.deadline_ms),
        earliest=_told(row.earliest_ms),
        latest_start=_told(placement.latest_start_ms) if placement else None,
        length_s=row.length_ms / 1000 if row.length_ms is not None else None,
        power_w=row.power_w,
        interruptible=row.interruptible,
        priority=row.priority,
        retries_left=row.retries_left,
        created=_told(row.created_ms),
        start=moment(row.start_ms),
        end=moment(row.end_ms),
        exit_code=row.exit_code,
        flags=flags,
        job_class=row.job_class,
    )


def _placement_answer(row: JobRow, placement: PlacementRow) -> PlacementAnswer:
    return PlacementAnswer(
        start=_told(placement.start_ms),
        end=_told(placement.end_ms) if row.length_ms is not None else None,
        zone=placement.zone,
        expected_g=placement.expected_g,
        start_now_g=placement.start_now_g,
        segments=[[_told(start), _told(end)] for start, end in placement.segments] or UNSET,
    )


def attempt_answer(row: AttemptRow) -> AttemptAnswer:
    return AttemptAnswer(
        row.id,
        row.number,
        str(row.state),
        moment(row.start_ms),
        moment(row.end_ms),
        row.exit_code,
        row.detail,
    )


def moment(ms: int | None) -> str | None:
    return None if ms is None else _told(ms)


def why(row: JobRow, now_ms: int) -> str:
    """Why a job waits and until when at most, or what became of it: one sentence."""
    if row.state.is_final:
        return _ended(row)
    if row.state is JobState.PAUSED:
        return _paused(row, now_ms)
    if row.state is JobState.RUNNING:
        since = f" since {moment(row.start_ms)}" if row.start_ms is not None else ""
        return f"Runs{since}; its deadline is {_told(row.deadline_ms)}."
    if row.state is JobState.STARTING:
        return f"Is being handed to executor {row.executor}."
    if row.placement is None:
        return "Waits to be placed."
    return _waiting(row.placement, now_ms, row.pool)


def _paused(row: JobRow, now_ms: int) -> str:
    segments = row.placement.segments if row.placement else ()
    ahead = [start for start, _ in segments if start > now_ms]
    until = f" until {_told(ahead[0])}" if ahead else ""
    deadline = _told(row.deadline_ms)
    return f"Pauses{until}, between two clean parts of its plan; its deadline is {deadline}."


def _waiting(placement: PlacementRow, now_ms: int, pool: str) -> str:
    because = _BECAUSE[placement.reason]
    if placement.start_ms <= now_ms:
        return f"Is due ({because}) and goes as soon as pool {pool} has room."
    latest_ms = max(placement.latest_start_ms, placement.start_ms)
    parts = f", in {len(placement.segments)} parts" if placement.segments else ""
    return (
        f"Waits until {_told(placement.start_ms)} ({because}{parts}) and goes by "
        f"{_told(latest_ms)} whatever any forecast says."
    )


def _ended(row: JobRow) -> str:
    ended = _ENDS[row.state]
    if row.end_ms is not None:
        ended += f" at {_told(row.end_ms)}"
        if row.end_ms > row.deadline_ms:
            ended += f", {(row.end_ms - row.deadline_ms) / 1000:g} s after its deadline"
    if row.state is JobState.FAILED and row.exit_code is not None:
        return f"{ended} with exit code {row.exit_code}."
    return f"{ended}."
