"""`carbon run`: a command as one run of a workload."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from carbon.client.embedded import stop_embedded
from carbon.client.session import MeasuredBy, RunSession
from carbon.client.units_file import counts_in, units_file
from carbon.collect.host_agent import AgentOptions
from carbon.collect.protocol import MeterUsed
from carbon.domain.unit_lines import UNITS_VARIABLE
from carbon.wire.energy import EnergyInterval

#: On a machine's first start the CPU's figures are looked up; a short command would be over.
FIGURES_S = 5.0
LAST_DELIVERY_S = 2.0
#: What a shell answers for a command that it cannot start.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """How a command went and what it drew."""

    run: str
    workload: str
    #: The child's own; 128 + n where signal n ended it; 126 and 127 where it could not start.
    exit_code: int
    start_ms: int
    end_ms: int
    #: What was attributed to the run; neighbours within five minutes are joined.
    intervals: Sequence[EnergyInterval]
    sources: Sequence[MeterUsed]
    units: Mapping[str, int]
    measured_by: MeasuredBy
    #: Batches that no server has taken yet, energy and counts; None where nobody knows.
    undelivered: int | None
    #: Why the command could not start.
    failure: str | None = None

    @property
    def energy_mj(self) -> int:
        return sum(interval.energy_mj for interval in self.intervals)

    @property
    def duration_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000


def run_command(
    argv: Sequence[str],
    workload: str,
    units: Mapping[str, int] | None = None,
    *,
    options: AgentOptions,
    reserve: bool = False,
    cwd: Path | None = None,
    delivery_s: float = LAST_DELIVERY_S,
    environment: Mapping[str, str] | None = None,
    count_after: Callable[[], Mapping[str, int]] | None = None,
) -> RunRecord:
    """Runs a command with this process's own streams and measures it and its descendants.

    The child finds CARBON_RUN and CARBON_WORKLOAD in its environment, and in CARBON_UNITS a file
    to which it may append lines of `unit count`; they add to `units`. It gets its share of
    the active CPU energy, of memory power by its resident memory, and its GPU energy; what the
    machine draws while idle is its own only with `reserve`. SIGTERM and SIGHUP, and SIGINT
    where no terminal has sent it to the child already, are passed on. Everything is spooled
    before this returns, whether or not a server can be reached. `environment` is added to the
    child's; `count_after` is asked, once the child has ended, for what it made beside `units`.
    """
    session = RunSession(options.data_dir, lambda: options, workload, reserve, wait_cpu_s=FIGURES_S)
    session.start()
    told = {"CARBON_RUN": session.run, "CARBON_WORKLOAD": workload, **(environment or {})}
    counts = Counter(units or {})
    try:
        with units_file() as made:
            told = {UNITS_VARIABLE: str(made), **told}
            exit_code, failure = _run_child(argv, {**os.environ, **told}, cwd)
            counts.update(counts_in(made))
        counts |= Counter(count_after() if count_after else {})
        measured = session.end(counts)
        undelivered = session.flush(delivery_s)
    finally:
        session.close()
        stop_embedded(options.data_dir, last_delivery_s=0.0)
    return RunRecord(
        run=session.run,
        workload=workload,
        exit_code=exit_code,
        start_ms=measured.start_ms,
        end_ms=measured.end_ms,
        intervals=measured.intervals,
        sources=measured.sources,
        units=dict(counts),
        measured_by=measured.by,
        undelivered=undelivered,
        failure=failure,
    )


def _run_child(
    argv: Sequence[str], environment: Mapping[str, str], cwd: Path | None
) -> tuple[int, str | None]:
    with _forwarding() as forward_to:
        try:
            child = subprocess.Popen(argv, env=environment, cwd=cwd)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            return _NOT_FOUND if missing else _NOT_EXECUTABLE, f"{argv[0]}: {error.strerror}"
        forward_to(child)
        status = child.wait()
    return (status if status >= 0 else 128 - status), None


class _Forwarder:
    """Passes signals on; those that come before the child is there wait for it."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def __call__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and _terminal_told_child():
            return
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)


@contextmanager
def _forwarding() -> Iterator[_Forwarder]:
    forwarder = _Forwarder()
    before = {number: signal.signal(number, forwarder.handle) for number in _FORWARDED}
    try:
        yield forwarder
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminal_told_child() -> bool:
    """A terminal sends Ctrl-C to all of its foreground group, the child included."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
