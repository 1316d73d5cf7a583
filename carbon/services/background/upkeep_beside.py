"""Upkeep in a process of its own, beside the one that answers: in one process Python would let but
one of them work at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from carbon.clock import SystemClock
from carbon.collect.backoff import Backoff
from carbon.logs import log_to_stderr
from carbon.services.background.upkeep import Upkeep
from carbon.services.context import Context
from carbon.services.rollup.roll_up_lag import lag_of
from carbon.services.rollup.rollup import stop_rolling
from carbon.storage.engine import create_engine

log = logging.getLogger("carbon.upkeep")

#: The service first answers, then this is loaded; one that ended is begun anew so much later, one
#: that cannot live ever more rarely.
_BEGIN_AFTER_S, _LATEST_S = 1.0, 10.0
#: One that lived for so long is no process that cannot live.
_HEALTHY_S: Final = 60.0
#: How often it is told that batches arrive, and how long it believes that.
_TELL_EVERY_S, _BELIEVED_S = 0.1, 0.25
#: It ends between two transactions; what takes longer is safe to stop anywhere.
_END_WITHIN_S: Final = 6.0
#: Of SQLite's file it keeps so much: whoever else commits makes it read anew.
_CACHE_MB: Final = 16
#: What it tells: up to when everything is rolled up, epoch ms; 0 where another process rolls up.
_COMPLETE: Final = struct.Struct("=q")
_BATCHES: Final = b"b"


class UpkeepBeside:
    """Keeps that process alive; tells it while batches arrive, and hears how far roll-ups are.

    It ends with this process, however that ends: the pipe that it listens to ends then.
    """

    def __init__(self, context: Context, was_busy: Callable[[], bool]) -> None:
        self._context = context
        self._was_busy = was_busy
        self._lag = lag_of(context.engine, context.clock)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="upkeep keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _keep(self) -> None:
        backoff = Backoff(_BEGIN_AFTER_S, _LATEST_S)
        wait_s = _BEGIN_AFTER_S
        while not self._stop.wait(wait_s):
            began_s = time.monotonic()
            try:
                code = self._run()
            except OSError as error:
                log.error("roll-ups wait, their process cannot be started: %s", error)
            else:
                if self._stop.is_set():
                    return
                log.warning("the process of roll-ups ended (%s) and is begun anew", code)
            if time.monotonic() - began_s > _HEALTHY_S:
                backoff.succeeded()
            wait_s = backoff.failed()

    def _run(self) -> int:
        """Until it ends, or is to: answers what it ended with."""
        with subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt is for this process, which ends that one
        ) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                url = self._context.engine.url.render_as_string(hide_password=False)
                pickle.dump((url, self._context.settings), process.stdin)
                process.stdin.flush()
                self._accompany(process)
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                return process.wait(_END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _accompany(self, process: subprocess.Popen[bytes]) -> None:
        """Raises BrokenPipeError where it ended."""
        assert process.stdin is not None
        assert process.stdout is not None
        hears, tells = process.stdout.fileno(), process.stdin.fileno()
        os.set_blocking(tells, False)
        while not self._stop.is_set():
            if select.select([hears], [], [], _TELL_EVERY_S)[0]:
                told = os.read(hears, _COMPLETE.size)
                if not told:
                    return
                self._lag.told(_COMPLETE.unpack(told)[0] or None)
            if self._was_busy():
                with contextlib.suppress(BlockingIOError):  # it is stopped, and will hear later
                    os.write(tells, _BATCHES)


def main() -> None:
    """Upkeep until the input ends. Signals are for the process that began this one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    told = sys.stdin.buffer
    url, settings = pickle.load(told)
    log_to_stderr(settings.log_level)
    context = Context(create_engine(url, _CACHE_MB), settings, SystemClock())
    heard_s = 0.0

    def are_batches_arriving() -> bool:
        return time.monotonic() - heard_s < _BELIEVED_S

    def tell(complete_ms: int | None) -> None:
        with contextlib.suppress(BrokenPipeError):  # the input ends, too
            os.write(sys.stdout.fileno(), _COMPLETE.pack(complete_ms or 0))

    lag_of(context.engine, context.clock).tell = tell
    upkeep = Upkeep(context, are_batches_arriving)
    upkeep.start()
    while os.read(told.fileno(), 64):
        heard_s = time.monotonic()
    stop_rolling(context.engine)
    upkeep.stop()


if __name__ == "__main__":
    main()
