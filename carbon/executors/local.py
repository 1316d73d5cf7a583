"""Jobs on this machine, each under a supervisor of its own (`executors.local_child`)."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from carbon.clock import Clock, SystemClock
from carbon.errors import InvalidInput
from carbon.executors.attempt_folder import AttemptFolder, Claim, Result, Spec, Start, Wish
from carbon.executors.executor import AttemptSpec, ExecutorAway, Handle, Logs, Look, LookState
from carbon.executors.job_pause import signal_group
from carbon.executors.process_mark import is_stopped

GRACE_S: Final = 10.0
#: Kept of each stream's beginning and of its end.
HEAD_BYTES: Final = 8 * 1024 * 1024
TAIL_BYTES: Final = 1024 * 1024
#: Most of a log that one answer carries.
SHOWN_BYTES: Final = 256 * 1024
_NVIDIA_GPUS: Final = Path("/proc/driver/nvidia/gpus")
_ATTEMPT_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
#: Of our own settings a job inherits only where the server's address is found: the others may
#: hold keys and passwords.
_PASSED_SETTINGS: Final = frozenset({"CARBON_DATA_DIR"})


class LocalExecutor:
    """Runs attempts as this user. All that lasts lies in `jobs_dir`, one folder an attempt."""

    name = "local"

    def __init__(
        self, jobs_dir: Path, clock: Clock | None = None, grace_s: float = GRACE_S
    ) -> None:
        self._jobs_dir, self._grace_s = jobs_dir, grace_s
        self._clock = clock or SystemClock()
        self.default_capacity = max(1, _gpu_count())
        #: Supervisors that this process started: collected when they end.
        self._supervisors: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, attempt: AttemptSpec) -> str:
        folder = self._folder(attempt.attempt_id)
        if folder.claimed() is None and not self._is_coming_up(attempt.attempt_id):
            try:
                folder.create(spec_to_write(attempt, self._grace_s))
                self._supervisors[attempt.attempt_id] = _supervise(folder)
            except OSError as error:
                raise ExecutorAway("executor_away", f"cannot start a process: {error}") from error
        return attempt.attempt_id

    def look(self, handle: Handle) -> Look:
        self._collect()
        folder = self._folder(handle.attempt_id)
        # Twice, since a supervisor may write its last line between our looking for that line
        # and our looking for the supervisor.
        look = _look(folder)
        if look.state is LookState.ABSENT and self._is_coming_up(handle.attempt_id):
            return Look(LookState.PENDING)
        return _look(folder) if look.state is LookState.LOST else look

    def cancel(self, handle: Handle) -> None:
        folder = self._folder(handle.attempt_id)
        if folder.claim(Claim(supervisor=None)):
            folder.write_result(
                Result(None, self._clock.now_ms(), None, "cancelled before the start")
            )
            return
        claim, start = folder.claimed(), folder.started()
        if folder.result() is None and claim and claim.supervisor:
            if claim.supervisor.is_alive:
                _send(claim.supervisor.pid, signal.SIGTERM)
            elif start and start.process and start.process.is_alive:
                # Its supervisor was killed, so that nobody is left to grant a grace.
                signal_group(start.process.pid, signal.SIGKILL)

    def pause(self, handle: Handle) -> None:
        self._wish(handle, Wish(is_paused=True))

    def resume(self, handle: Handle) -> None:
        self._wish(handle, Wish(is_paused=False))

    def logs(self, handle: Handle) -> Logs:
        folder = self._folder(handle.attempt_id)
        return Logs(shown_log(folder.log("stdout")), shown_log(folder.log("stderr")))

    def _wish(self, handle: Handle, wish: Wish) -> None:
        folder = self._folder(handle.attempt_id)
        claim, start = folder.claimed(), folder.started()
        if folder.result() is not None or start is None or claim is None:
            return
        if claim.supervisor and claim.supervisor.is_alive:
            folder.write_wish(wish)
            _send(claim.supervisor.pid, signal.SIGUSR1)
        elif start.process and start.process.is_alive:
            # Its supervisor was killed: there is nobody to run a checkpoint hook.
            number = signal.SIGSTOP if wish.is_paused else signal.SIGCONT
            signal_group(start.process.pid, number)

    def _folder(self, attempt_id: str) -> AttemptFolder:
        return attempt_folder(self._jobs_dir, attempt_id)

    def _is_coming_up(self, attempt_id: str) -> bool:
        supervisor = self._supervisors.get(attempt_id)
        return supervisor is not None and supervisor.poll() is None

    def _collect(self) -> None:
        ended = [name for name, child in self._supervisors.items() if child.poll() is not None]
        for name in ended:
            del self._supervisors[name]


def attempt_folder(jobs_dir: Path, attempt_id: str) -> AttemptFolder:
    """Raises InvalidInput(`invalid_attempt`) for an id that could name another folder."""
    if not _ATTEMPT_ID.fullmatch(attempt_id):
        raise InvalidInput("invalid_attempt", f"{attempt_id!r} is no attempt's id")
    return AttemptFolder(jobs_dir / attempt_id)


def spec_to_write(attempt: AttemptSpec, grace_s: float) -> Spec:
    return Spec(
        attempt.attempt_id,
        list(attempt.command),
        attempt.cwd,
        dict(attempt.env),
        grace_s,
        HEAD_BYTES,
        TAIL_BYTES,
        attempt.checkpoint,
    )


def _supervise(folder: AttemptFolder) -> subprocess.Popen[bytes]:
    with folder.log("supervisor").open("ab") as trouble:
        return subprocess.Popen(
            [sys.executable, "-m", "carbon.executors.local_child", str(folder.path)],
            cwd="/",
            env=passed_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=trouble,
            start_new_session=True,
        )


def passed_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CARBON_") or name in _PASSED_SETTINGS
    }


def _look(folder: AttemptFolder) -> Look:
    if result := folder.result():
        return result.look()
    claim, start = folder.claimed(), folder.started()
    if claim is None:
        return Look(LookState.ABSENT)
    is_supervised = claim.supervisor is not None and claim.supervisor.is_alive
    start_ms = start.start_ms if start else None
    if start and start.process and is_stopped(start.process.pid):
        return Look(LookState.PAUSED, start_ms)
    if start and (is_supervised or (start.process and start.process.is_alive)):
        return begun_look(start)
    if is_supervised:
        return Look(LookState.PENDING)
    return Look(LookState.LOST, start_ms, detail="the supervisor of the job is gone")


def begun_look(start: Start) -> Look:
    return Look(LookState.PAUSED if start.is_paused else LookState.RUNNING, start.start_ms)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def shown_log(path: Path) -> str:
    """The log's text; of a long one the beginning and the end."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if size <= SHOWN_BYTES:
                return file.read().decode(errors="replace")
            head = file.read(SHOWN_BYTES // 2)
            file.seek(size - SHOWN_BYTES // 2)
            where = f"; {path} has all that is kept"
            return _with_note(head, size - SHOWN_BYTES, where, file.read())
    except FileNotFoundError:
        return ""


def capped(text: str) -> str:
    """What an engine tells of a log, of the same size at most."""
    whole = text.encode()
    half, left_out = SHOWN_BYTES // 2, len(whole) - SHOWN_BYTES
    return text if left_out <= 0 else _with_note(whole[:half], left_out, "", whole[-half:])


def _with_note(head: bytes, left_out: int, where: str, tail: bytes) -> str:
    note = f"\n[{left_out} bytes not shown{where}]\n"
    return head.decode(errors="replace") + note + tail.decode(errors="replace")


def _gpu_count() -> int:
    return len(list(_NVIDIA_GPUS.iterdir())) if _NVIDIA_GPUS.is_dir() else 0
