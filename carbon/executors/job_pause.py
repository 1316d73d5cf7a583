"""How a supervisor pauses the command of its attempt, and lets it go on.

Without a checkpoint hook all its processes are stopped where they stand: they keep their memory
and draw next to nothing. With one the hook saves the job's state; then the command is ended, and
begun anew to go on. A hook that fails costs nothing: the job is stopped instead.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from typing import Final

from carbon.executors.attempt_folder import AttemptFolder

#: The first process of the job, for its checkpoint hook.
PID_VARIABLE: Final = "CARBON_PID"
#: Set for a command that is begun anew after its checkpoint.
RESUMED_VARIABLE: Final = "CARBON_RESUMED"


class JobPause:
    def __init__(
        self, folder: AttemptFolder, checkpoint: str | None, cwd: str, env: Mapping[str, str]
    ) -> None:
        self._folder, self._checkpoint = folder, checkpoint
        self._cwd, self._env = cwd, env
        self._hook: subprocess.Popen[bytes] | None = None
        self.is_stopped = False
        #: Its state is saved: the command is to end, and to be begun anew once it is resumed.
        self.is_parked = False

    @property
    def is_wished(self) -> bool:
        wish = self._folder.wish()
        return wish is not None and wish.is_paused

    def attend(self, leader_pid: int) -> bool:
        """The next step to what is wished; to be called after each wake. True where the job
        has been stopped or let go."""
        if self._hook is not None:
            return self._after_hook(leader_pid)
        if self.is_wished and not (self.is_stopped or self.is_parked):
            if self._checkpoint is None or not self._begin_hook(leader_pid):
                return self._stop(leader_pid)
        elif self.is_stopped and not self.is_wished:
            self.is_stopped = False
            signal_group(leader_pid, signal.SIGCONT)
            return True
        return False

    def abandon(self) -> None:
        """The job has ended by itself."""
        if self._hook is not None:
            signal_group(self._hook.pid, signal.SIGKILL)
            self._hook.wait()
            self._hook = None

    def unpark(self) -> None:
        self.is_parked = False

    def _begin_hook(self, leader_pid: int) -> bool:
        assert self._checkpoint is not None
        try:
            with self._folder.log("checkpoint").open("ab") as log:
                self._hook = subprocess.Popen(
                    ["/bin/sh", "-c", self._checkpoint],
                    cwd=self._cwd,
                    env={**self._env, PID_VARIABLE: str(leader_pid)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError:
            return False
        return True

    def _after_hook(self, leader_pid: int) -> bool:
        assert self._hook is not None
        if self._hook.poll() is None:
            return False
        is_saved, self._hook = self._hook.returncode == 0, None
        if is_saved:
            self.is_parked = True
            return False
        return self._stop(leader_pid) if self.is_wished else False

    def _stop(self, leader_pid: int) -> bool:
        self.is_stopped = True
        signal_group(leader_pid, signal.SIGSTOP)
        return True


def signal_group(leader_pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, number)
