"""Slurm users' own jobs, submitted with `--begin` at the latest safe start and the comment
`carbon:deadline=…` (`deploy/slurm` fills both in): at the planned time their start becomes now.

Carbon has to be a Slurm operator for that, and no more. `--hold` would not expire; a job that
its user holds is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from carbon.clock import Clock, SystemClock
from carbon.errors import InvalidInput
from carbon.executors.executor import (
    AttemptSpec,
    ExecutorAway,
    Handle,
    Logs,
    Look,
    LookState,
)
from carbon.executors.held_jobs import HeldJob
from carbon.executors.slurm_queue import SeenQueue, SlurmEntry, comment_words, queue, slurm
from carbon.wire.durations import resolve_moment_ms

SLURM_RELEASE: Final = "slurm-release"
_PREFIX: Final = "carbon:"
_ATTEMPT: Final = re.compile(r"slurm-(\d+)-(\d+)-\d+")
#: Nobody lets go what its user or an administrator holds.
_HELD: Final = frozenset({"JobHeldUser", "JobHeldAdmin"})


class SlurmReleaseExecutor:
    """Keeps nothing: which job an attempt means stands in its name."""

    name = SLURM_RELEASE
    #: Slurm itself knows what it has room for.
    default_capacity = 1_000_000

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._seen = SeenQueue(self._clock)

    def held(self) -> list[HeldJob]:
        now_ms = self._clock.now_ms()
        self._seen.forget()
        entries = self._seen.entries()
        found = [_held_job(entry) for entry in entries if _is_held(entry, now_ms)]
        return [job for job in found if job is not None]

    def start(self, attempt: AttemptSpec) -> str:
        """Slurm's number where that means this one job, by which what it drew is found."""
        number, submit_ms = _named(attempt.attempt_id)
        now_ms = self._clock.now_ms()
        # Of that number alone: what others write into a comment cannot make it another's.
        entries = _of(queue(number), number, submit_ms)
        if any(_is_held(entry, now_ms) for entry in entries):
            slurm("scontrol", "update", f"JobId={number}", "StartTime=now")
            self._seen.forget()
        is_one = len(entries) == 1 and not entries[0].is_task
        return number if is_one else attempt.attempt_id

    def look(self, handle: Handle) -> Look:
        """ABSENT until it was let go, whoever did it."""
        number, submit_ms = _named(handle.attempt_id)
        entries = _of(self._seen.entries(), number, submit_ms)
        if not entries:
            return _gone(number, submit_ms)
        if any(_is_held(entry, self._clock.now_ms()) for entry in entries):
            return Look(LookState.ABSENT)
        begun = {e.number for e in entries if e.is_task and not e.is_pending}
        return replace(_look(entries), subjects=tuple(sorted(f"slurm:{n}" for n in begun)))

    def cancel(self, handle: Handle) -> None:
        number, submit_ms = _named(handle.attempt_id)
        if any(e.is_pending or e.is_running for e in _of(queue(number), number, submit_ms)):
            slurm("scancel", number)
            self._seen.forget()

    def logs(self, handle: Handle) -> Logs:
        """Its user's own files, which are nobody's else to read."""
        return Logs("", "")


def _named(attempt_id: str) -> tuple[str, int]:
    """Slurm's number and when it was submitted. Raises InvalidInput(`invalid_attempt`)."""
    found = _ATTEMPT.fullmatch(attempt_id)
    if found is None:
        raise InvalidInput("invalid_attempt", f"{attempt_id!r} is no attempt of a Slurm job")
    return found[1], int(found[2]) * 1000


def _of(entries: Iterable[SlurmEntry], number: str, submit_ms: int) -> list[SlurmEntry]:
    """Those of that very job: a cluster that begins anew gives the same numbers again."""
    return [e for e in entries if number in (e.number, e.array) and e.submit_ms == submit_ms]


def _is_held(entry: SlurmEntry, now_ms: int) -> bool:
    """Its start lies ahead and may be moved."""
    return (
        entry.is_pending
        and entry.reason not in _HELD
        and entry.eligible_ms is not None
        and entry.eligible_ms > now_ms
        and "deadline" in comment_words(entry.comment, _PREFIX)
    )


def _held_job(entry: SlurmEntry) -> HeldJob | None:
    """None where what its comment says cannot be understood: then Slurm starts it, in time."""
    words = comment_words(entry.comment, _PREFIX)
    try:
        deadline_ms = resolve_moment_ms(words["deadline"], entry.submit_ms)
        earliest_ms = resolve_moment_ms(words.get("earliest", "0s"), entry.submit_ms)
        power_w = float(words["power"]) if "power" in words else None
    except (InvalidInput, ValueError):
        return None
    assert entry.eligible_ms is not None
    return HeldJob(
        job_id=f"slurm-{entry.array}-{entry.submit_ms // 1000}",
        team=entry.account or entry.user,
        name=entry.name,
        submitted_ms=entry.submit_ms,
        earliest_ms=earliest_ms,
        deadline_ms=deadline_ms,
        latest_ms=entry.eligible_ms,
        limit_ms=entry.limit_ms,
        size=entry.size,
        power_w=power_w if power_w is not None and 0 < power_w <= 1e8 else None,
    )


def _look(entries: Sequence[SlurmEntry]) -> Look:
    """Of a job, or of an array as one: it runs while one task does, and ends with the last."""
    starts = [e.start_ms for e in entries if e.start_ms is not None and not e.is_pending]
    start_ms = min(starts, default=None)
    if any(entry.is_running for entry in entries):
        return Look(LookState.RUNNING, start_ms)
    if any(entry.is_pending for entry in entries):
        return Look(LookState.RUNNING, start_ms) if starts else Look(LookState.PENDING)
    codes = [entry.exit_code for entry in entries]
    worst = max((code for code in codes if code is not None), default=None)
    end_ms = max((e.end_ms for e in entries if e.end_ms is not None), default=None)
    states = sorted({entry.state for entry in entries} - {"COMPLETED"})
    began_ms = None if worst is None else start_ms
    return Look(LookState.ENDED, began_ms, end_ms, worst, " ".join(states).lower())


def _gone(number: str, submit_ms: int) -> Look:
    """slurmctld forgets a job minutes after its end; Slurm's accounts, where kept, do not."""
    try:
        listed = slurm(
            "sacct", f"--jobs={number}", "--allocations", "--duplicates", "--noheader",
            "--parsable2", "--starttime=1970-01-02", "--format=Submit,State,ExitCode,Start,End",
        )  # fmt: skip
    except ExecutorAway as away:
        if "disabled" not in away.detail:
            raise
        listed = ""
    for line in listed.splitlines():
        submit, state, code, start, end = (line.split("|") + [""] * 5)[:5]
        if submit == str(submit_ms // 1000) and end.isdigit():
            return _accounted(state, code, start, int(end) * 1000)
    return Look(LookState.ENDED, detail="its end is not known: Slurm has forgotten it")


def _accounted(state: str, code: str, start: str, end_ms: int) -> Look:
    """A job as sacct shows it; `code` is an exit code, a colon and a signal."""
    detail = "" if state == "COMPLETED" else state.lower()
    if not start.isdigit():
        return Look(LookState.ENDED, None, end_ms, None, detail)
    exit_code, _, signal = code.partition(":")
    ended = int(exit_code or 0) or (128 + int(signal) if int(signal or 0) else 0)
    return Look(LookState.ENDED, int(start) * 1000, end_ms, ended, detail)
