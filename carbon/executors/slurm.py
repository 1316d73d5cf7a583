"""Jobs on a Slurm cluster, each a batch job whose script is the supervisor of `local_child`.

Slurm keeps no key of ours unique, so exactly-once stands on the folder: it lies on a file system
that this service and the nodes share, and of all batch jobs of one attempt only the one that
takes its claim runs the command. The comment `carbon:attempt=…` finds a batch job again whose
number never reached us.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from carbon.clock import Clock, SystemClock
from carbon.executors.attempt_folder import AttemptFolder, Claim, Result, Wish
from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, Logs, Look, LookState
from carbon.executors.local import (
    GRACE_S,
    attempt_folder,
    begun_look,
    shown_log,
    spec_to_write,
)
from carbon.executors.slurm_queue import PENDING, SeenQueue, SlurmEntry, queue, slurm

#: Without COMPLETING: its script has ended.
_NOT_ENDED: Final = PENDING | {"CONFIGURING", "RUNNING", "SUSPENDED"}
_COMMENT: Final = "carbon:attempt="


class SlurmExecutor:
    """Submits as this service's own account. `jobs_dir` is shared with every node."""

    name = "slurm"
    default_capacity = 1

    def __init__(
        self, jobs_dir: Path, clock: Clock | None = None, grace_s: float = GRACE_S
    ) -> None:
        self._jobs_dir, self._grace_s = jobs_dir, grace_s
        self._clock = clock or SystemClock()
        self._seen = SeenQueue(self._clock)

    def start(self, attempt: AttemptSpec) -> str:
        folder = self._folder(attempt.attempt_id)
        queued = _queued(attempt.attempt_id)
        if queued or folder.claimed() is not None:
            return queued[0] if queued else _last_number(folder)
        try:
            folder.create(spec_to_write(attempt, self._grace_s))
        except OSError as error:
            raise ExecutorAway("executor_away", f"cannot write {folder.path}: {error}") from error
        number = _submit(folder, attempt.attempt_id)
        self._seen.forget()
        (folder.path / "slurm.id").write_text(number)
        return number

    def look(self, handle: Handle) -> Look:
        folder = self._folder(handle.attempt_id)
        if folder.result() is None:
            # Asked before the folder is read: a job that has left the queue has written its end.
            queued = _of(self._seen.entries(), handle.attempt_id)
            if not queued:  # not to be called lost by what was seen before it was submitted
                self._seen.forget()
                queued = _of(self._seen.entries(), handle.attempt_id)
            if folder.result() is None:
                return self._look_without_result(folder, handle, bool(queued))
        return _ended(folder)

    def cancel(self, handle: Handle) -> None:
        folder = self._folder(handle.attempt_id)
        if folder.claim(Claim(supervisor=None)):
            now_ms = self._clock.now_ms()
            folder.write_result(Result(None, now_ms, None, "cancelled before the start"))
            for number in _queued(handle.attempt_id):
                slurm("scancel", number)
        elif folder.result() is None:
            for number in _queued(handle.attempt_id):
                # To the supervisor alone, which grants the command its grace.
                slurm("scancel", "--batch", "--signal=TERM", number)

    def pause(self, handle: Handle) -> None:
        self._wish(handle, Wish(is_paused=True))

    def resume(self, handle: Handle) -> None:
        self._wish(handle, Wish(is_paused=False))

    def logs(self, handle: Handle) -> Logs:
        folder = self._folder(handle.attempt_id)
        return Logs(shown_log(folder.log("stdout")), shown_log(folder.log("stderr")))

    def _wish(self, handle: Handle, wish: Wish) -> None:
        folder = self._folder(handle.attempt_id)
        if folder.started() is not None and folder.result() is None:
            folder.write_wish(wish)
            for number in _queued(handle.attempt_id):
                slurm("scancel", "--batch", "--signal=USR1", number)

    def _folder(self, attempt_id: str) -> AttemptFolder:
        return attempt_folder(self._jobs_dir, attempt_id)

    def _look_without_result(self, folder: AttemptFolder, handle: Handle, is_queued: bool) -> Look:
        start = folder.started()
        if is_queued:
            return begun_look(start) if start else Look(LookState.PENDING)
        if start is not None:
            return Look(LookState.LOST, start.start_ms, detail="gone from Slurm without a result")
        if folder.claimed() is None and handle.external_id is None:
            return Look(LookState.ABSENT)
        # Taken, so that nothing of this attempt can begin after we have called it lost.
        folder.claim(Claim(supervisor=None))
        return Look(LookState.LOST, detail="left Slurm's queue before it began")


def _ended(folder: AttemptFolder) -> Look:
    result = folder.result()
    assert result is not None
    return result.look()


def _submit(folder: AttemptFolder, attempt_id: str) -> str:
    supervisor = [sys.executable, "-m", "carbon.executors.local_child", str(folder.path)]
    output = slurm(
        "sbatch",
        "--parsable",
        "--no-requeue",
        "--chdir=/",
        f"--job-name=carbon-{attempt_id}",
        f"--comment={_COMMENT}{attempt_id}",
        f"--output={folder.log('supervisor')}",
        f"--wrap=exec {shlex.join(supervisor)}",
    )
    return output.strip().partition(";")[0]


def _queued(attempt_id: str) -> list[str]:
    """Numbers of the attempt's batch jobs whose script has not ended, as they are now."""
    return _of(queue(), attempt_id)


def _of(entries: Iterable[SlurmEntry], attempt_id: str) -> list[str]:
    wanted = _COMMENT + attempt_id
    return [e.number for e in entries if e.comment == wanted and e.state in _NOT_ENDED]


def _last_number(folder: AttemptFolder) -> str:
    try:
        return (folder.path / "slurm.id").read_text()
    except FileNotFoundError:
        return folder.path.name
