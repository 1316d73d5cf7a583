"""Slurm as its own commands tell of it: the queue as it stands, and a call that may fail."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from carbon.clock import Clock
from carbon.executors.executor import ExecutorAway
from carbon.executors.local import passed_environment

_COMMAND_TIMEOUT_S: Final = 20
_KEPT_NS: Final = 1_000_000_000
#: Between fields: what a user writes into names and comments must not look like one.
_BETWEEN: Final = "\x1f"
#: What users write stands last.
_FIELDS: Final = (
    "JobID", "ArrayJobID", "ArrayTaskID", "State", "Reason", "UserName", "Account", "SubmitTime",
    "EligibleTime", "StartTime", "EndTime", "TimeLimit", "exit_code",
    "NumNodes", "NumCPUs", "tres-per-node", "Partition", "Name", "Comment",
)  # fmt: skip
_NONE: Final = frozenset({"", "N/A", "(null)", "Unknown", "UNLIMITED", "NOT_SET", "INVALID"})
_TERMINATED: Final = 143

PENDING: Final = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
RUNNING: Final = frozenset(
    {"RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT"}
)


@dataclass(frozen=True, slots=True)
class SlurmEntry:
    """A job as slurmctld knows it: pending, running, or ended some minutes ago."""

    number: str
    #: The number of the whole array; the job's own where it is none.
    array: str
    #: One of several, each with a number of its own once it runs.
    is_task: bool
    state: str
    reason: str
    user: str
    account: str | None
    submit_ms: int
    #: From when on it may begin; unknown while it depends on another.
    eligible_ms: int | None
    start_ms: int | None
    end_ms: int | None
    limit_ms: int | None
    #: As `wait` gives it: the exit code times 256, or a signal.
    status: int
    #: Nodes, CPUs, devices and partition, in Slurm's words.
    size: str
    name: str
    comment: str

    @property
    def is_pending(self) -> bool:
        return self.state in PENDING

    @property
    def is_running(self) -> bool:
        return self.state in RUNNING

    @property
    def exit_code(self) -> int | None:
        """128 + n where signal n ended it; None where it never began."""
        never_began = self.start_ms is None or self.start_ms == self.end_ms
        if self.state == "CANCELLED" and never_began:
            return None
        if self.status == 0:  # as of a job whose time was over, or whose node was lost
            return 0 if self.state == "COMPLETED" else _TERMINATED
        return self.status >> 8 or 128 + (self.status & 127)


def slurm(*command: str) -> str:
    """What a command of Slurm's prints. Raises ExecutorAway with Slurm's own words."""
    try:
        done = subprocess.run(
            command,
            env={**passed_environment(), "SLURM_TIME_FORMAT": "%s"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExecutorAway("executor_away", f"{command[0]}: {error}") from error
    # A job that ended between our asking and our cancelling is no trouble.
    if done.returncode != 0 and command[0] != "scancel":
        words = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise ExecutorAway("executor_away", f"{command[0]}: {words}")
    return done.stdout


def queue(*numbers: str) -> list[SlurmEntry]:
    """The jobs of those numbers that slurmctld still knows, each task of an array for itself;
    without numbers all. Raises ExecutorAway."""
    layout = ",".join(f"{field}:{_BETWEEN}" for field in _FIELDS)
    chosen = [f"--jobs={','.join(numbers)}"] if numbers else []
    try:
        listed = slurm("squeue", "--noheader", "--states=all", f"--Format={layout}", *chosen)
    except ExecutorAway as away:
        if numbers and "Invalid job id" in away.detail:
            return []
        raise
    return [entry for line in listed.splitlines() if (entry := _entry(line)) is not None]


class SeenQueue:
    """The whole queue, asked for once a second however many attempts are looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: list[SlurmEntry] = []
        self._seen_ns: int | None = None

    def entries(self) -> list[SlurmEntry]:
        """As it was a second ago at most. Raises ExecutorAway."""
        now_ns = self._clock.monotonic_ns()
        if self._seen_ns is None or now_ns - self._seen_ns > _KEPT_NS:
            self._entries, self._seen_ns = queue(), now_ns
        return self._entries

    def forget(self) -> None:
        """Something was changed, or is to be known for certain."""
        self._seen_ns = None


def _entry(line: str) -> SlurmEntry | None:
    """None for what is none, such as the second line of a comment that has two."""
    words = line.split(_BETWEEN)
    if len(words) != len(_FIELDS) + 1 or not words[0].isdigit():
        return None
    told = dict(zip(_FIELDS, words, strict=False))
    submit_ms = _moment_ms(told["SubmitTime"])
    if submit_ms is None or not told["exit_code"].isdigit():
        return None
    return SlurmEntry(
        number=told["JobID"],
        array=told["ArrayJobID"] or told["JobID"],
        is_task=told["ArrayTaskID"] not in _NONE,
        state=told["State"],
        reason=told["Reason"],
        user=told["UserName"],
        account=None if told["Account"] in _NONE else told["Account"],
        submit_ms=submit_ms,
        eligible_ms=_moment_ms(told["EligibleTime"]),
        start_ms=_moment_ms(told["StartTime"]),
        end_ms=_moment_ms(told["EndTime"]),
        limit_ms=_limit_ms(told["TimeLimit"]),
        status=int(told["exit_code"]),
        size=_size(told),
        name=told["Name"],
        comment=told["Comment"],
    )


def _size(told: Mapping[str, str]) -> str:
    """`gpu 2 nodes 16 cpus gres/gpu:4`; a range of nodes stays one."""
    parts = [told["Partition"], f"{told['NumNodes']} nodes", f"{told['NumCPUs']} cpus"]
    devices = told["tres-per-node"]
    return " ".join(parts if devices in _NONE else [*parts, devices])


def _moment_ms(text: str) -> int | None:
    return int(text) * 1000 if text.isdigit() else None


def _limit_ms(text: str) -> int | None:
    """`2-01:00:00`, `1:00:00` or `10:00`; None where there is none."""
    if text in _NONE:
        return None
    days, _, clock = text.rpartition("-")
    try:
        parts: Sequence[int] = [int(part) for part in clock.split(":")]
        seconds = 0
        for part in parts:
            seconds = seconds * 60 + part
        return (int(days or 0) * 86_400 + seconds) * 1000
    except ValueError:
        return None


def comment_words(comment: str, prefix: str) -> Mapping[str, str]:
    """`carbon:deadline=…,power=300` by name; empty where the comment is none of ours."""
    if not comment.startswith(prefix):
        return {}
    pairs = (word.partition("=") for word in comment.removeprefix(prefix).split(","))
    return {name.strip(): value.strip() for name, _, value in pairs}
