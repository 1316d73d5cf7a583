"""The supervisor of one local attempt: `python -m carbon.executors.local_child FOLDER`.

It stands in a session of its own, so that neither the end of the server nor a signal to it
reaches the job. It claims the attempt, runs the command in a process group, pauses it when it is
asked to, keeps its output within bounds and writes down how it ended. A job ends with its first
process; whatever that leaves behind in its group is ended too.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from carbon.clock import Clock, SystemClock
from carbon.domain.unit_lines import UNITS_VARIABLE, sum_unit_lines
from carbon.executors.attempt_folder import AttemptFolder, Claim, ProcessRef, Result, Spec, Start
from carbon.executors.capped_log import CappedLog
from carbon.executors.job_pause import RESUMED_VARIABLE, JobPause, signal_group
from carbon.executors.process_mark import group_lives

#: As a shell answers for a command that cannot be run.
EXIT_NOT_RUNNABLE: Final = 127
_CHUNK: Final = 65_536
#: Enough for two full pipes of 1 MiB.
_LAST_READS: Final = 32
_GIVE_UP_S: Final = 2.0


class Supervisor:
    def __init__(self, folder: AttemptFolder, spec: Spec, clock: Clock) -> None:
        self._folder, self._spec, self._clock = folder, spec, clock
        self._cancelled = False
        self._pause = JobPause(folder, spec.checkpoint, self._cwd, self._environment)
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)

    def run(self) -> None:
        """Does nothing where another supervisor, or a cancellation, has the claim."""
        # Before the claim: from then on a signal is the way to cancel.
        self._listen()
        if not self._folder.claim(Claim(ProcessRef.of(os.getpid()))):
            return
        start_ms = self._clock.now_ms()
        if self._cancelled:
            self._folder.write_result(Result(None, start_ms, None, "cancelled before the start"))
            return
        self._folder.write_start(Start(start_ms))
        try:
            job = self._spawn()
        except (OSError, ValueError) as error:
            self._refuse(start_ms, f"cannot run {self._spec.command[0]}: {error}")
            return
        self._finish(start_ms, self._supervise(job, start_ms))

    def _listen(self) -> None:
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_term)
        for number in (signal.SIGCHLD, signal.SIGUSR1):  # they wake us, no more
            signal.signal(number, lambda *_: None)

    def _on_term(self, *_: object) -> None:
        self._cancelled = True

    @property
    def _cwd(self) -> str:
        return self._spec.cwd or str(Path.home())

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, UNITS_VARIABLE: str(self._folder.units), **self._spec.env}

    def _spawn(self, **more: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._spec.command,
            cwd=self._cwd,
            env={**self._environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def _supervise(self, job: subprocess.Popen[bytes], start_ms: int) -> int:
        """Until the command has ended for good, its group is empty and its output is read."""
        logs = {
            stream: CappedLog(
                self._folder.log(stream), self._spec.head_bytes, self._spec.tail_bytes
            )
            for stream in ("stdout", "stderr")
        }
        try:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._wake, selectors.EVENT_READ)
                return self._through_pauses(job, start_ms, waiting, logs)
        finally:
            self._pause.abandon()
            for log in logs.values():
                log.close()

    def _through_pauses(
        self,
        job: subprocess.Popen[bytes],
        start_ms: int,
        waiting: selectors.DefaultSelector,
        logs: Mapping[str, CappedLog],
    ) -> int:
        while True:
            self._say(start_ms, job)
            self._until_gone(job, start_ms, waiting, logs)
            if not self._pause.is_parked:
                return job.returncode
            self._say(start_ms, None)
            while self._pause.is_wished and not self._cancelled:
                self._pump(waiting, timeout_s=None)
            if self._cancelled:
                return job.returncode
            self._pause.unpark()
            try:
                job = self._spawn(**{RESUMED_VARIABLE: "1"})
            except (OSError, ValueError):
                return EXIT_NOT_RUNNABLE

    def _say(self, start_ms: int, job: subprocess.Popen[bytes] | None) -> None:
        """What runs, and whether it is paused, for whoever looks."""
        is_paused = job is None or self._pause.is_stopped
        with contextlib.suppress(ProcessLookupError):  # ended before we looked
            process = ProcessRef.of(job.pid) if job is not None else None
            self._folder.write_start(Start(start_ms, process, is_paused))

    def _until_gone(
        self,
        job: subprocess.Popen[bytes],
        start_ms: int,
        waiting: selectors.DefaultSelector,
        logs: Mapping[str, CappedLog],
    ) -> None:
        for stream, pipe in (("stdout", job.stdout), ("stderr", job.stderr)):
            assert pipe is not None
            waiting.register(pipe, selectors.EVENT_READ, logs[stream])
        end = _GroupEnd(job.pid, self._spec.grace_s, self._clock)
        while not (job.poll() is not None and end.is_reached):
            if job.returncode is None and self._pause.attend(job.pid):
                self._say(start_ms, job)
            if job.returncode is not None or self._cancelled or self._pause.is_parked:
                end.press()
            # Without an end in sight the next event wakes us; a group that is being ended
            # sends none, since its members are not all our children.
            self._pump(waiting, timeout_s=0.02 if end.is_pressed else None)
        for _ in range(_LAST_READS):  # bounded: a process that left the group may write on
            self._pump(waiting, timeout_s=0)
        for pipe in (job.stdout, job.stderr):
            assert pipe is not None
            with contextlib.suppress(KeyError):
                waiting.unregister(pipe)
            pipe.close()

    def _pump(self, waiting: selectors.DefaultSelector, timeout_s: float | None) -> None:
        """Moves what has arrived into the logs."""
        for key, _ in waiting.select(timeout_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    self._wake.recv(_CHUNK)
                continue
            chunk = os.read(key.fd, _CHUNK)
            if chunk:
                key.data.write(chunk)
            else:
                waiting.unregister(key.fileobj)

    def _finish(self, start_ms: int, returncode: int) -> None:
        exit_code = 128 - returncode if returncode < 0 else returncode
        detail = "cancelled" if self._cancelled else ""
        units = self._units()
        self._folder.write_result(Result(start_ms, self._clock.now_ms(), exit_code, detail, units))

    def _units(self) -> dict[str, int]:
        """What cannot be meant is left out, and told among the job's own errors."""
        try:
            with self._folder.units.open(encoding="utf-8", errors="replace") as lines:
                counts, bad = sum_unit_lines(lines)
        except OSError:
            return {}
        if bad:
            with self._folder.log("stderr").open("a") as log:
                log.write(f"carbon: line {bad[0]} of $CARBON_UNITS is no `unit count`\n")
        return counts

    def _refuse(self, start_ms: int, detail: str) -> None:
        self._folder.log("stderr").write_text(detail + "\n")
        self._folder.write_result(Result(start_ms, self._clock.now_ms(), EXIT_NOT_RUNNABLE, detail))


class _GroupEnd:
    """TERM to a process group, KILL after the grace."""

    def __init__(self, leader_pid: int, grace_s: float, clock: Clock) -> None:
        self._leader_pid, self._clock = leader_pid, clock
        self._grace_ns = int(grace_s * 1e9)
        self._term_at_ns: int | None = None
        self._kill_at_ns: int | None = None

    @property
    def is_pressed(self) -> bool:
        return self._term_at_ns is not None

    @property
    def is_reached(self) -> bool:
        """No member is left, or only such as even KILL does not remove."""
        given_up = self._kill_at_ns is not None and self._since_s(self._kill_at_ns) > _GIVE_UP_S
        return given_up or not group_lives(self._leader_pid)

    def press(self) -> None:
        """The next step that is due; to be called again and again."""
        if self._term_at_ns is None:
            self._term_at_ns = self._clock.monotonic_ns()
            signal_group(self._leader_pid, signal.SIGTERM)
            signal_group(self._leader_pid, signal.SIGCONT)  # what is stopped hears nothing
        elif self._clock.monotonic_ns() - self._term_at_ns >= self._grace_ns:
            self._kill_at_ns = self._kill_at_ns or self._clock.monotonic_ns()
            signal_group(self._leader_pid, signal.SIGKILL)

    def _since_s(self, at_ns: int) -> float:
        return (self._clock.monotonic_ns() - at_ns) / 1e9


def main(arguments: list[str]) -> int:
    folder = AttemptFolder(Path(arguments[0]))
    spec = folder.spec()
    if spec is None:
        print(f"no attempt in {folder.path}", file=sys.stderr)
        return 2
    Supervisor(folder, spec, SystemClock()).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
