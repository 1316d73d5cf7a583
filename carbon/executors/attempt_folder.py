"""The folder of one local attempt: who may run it, when it began and how it ended.

    spec.json    what to run; written before anything else happens
    claim.json   the one supervisor that may run it, or a cancellation that came first
    start.json   written before the command begins, and again with its pid and when it pauses
    wish.json    whether it is to pause
    result.json  the end; final
    stdout.log, stderr.log

A file appears whole or not at all, so that a reader, or a process killed between two of them,
never sees half a statement.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from carbon.executors.executor import Look, LookState
from carbon.executors.process_mark import process_mark


class Spec(msgspec.Struct, frozen=True):
    attempt_id: str
    command: list[str]
    cwd: str | None
    env: dict[str, str]
    grace_s: float
    #: Bytes kept of the beginning and of the end of each stream.
    head_bytes: int
    tail_bytes: int
    checkpoint: str | None = None


class ProcessRef(msgspec.Struct, frozen=True):
    pid: int
    mark: str

    @classmethod
    def of(cls, pid: int) -> ProcessRef:
        """Raises ProcessLookupError where it is gone already."""
        mark = process_mark(pid)
        if mark is None:
            raise ProcessLookupError(pid)
        return cls(pid, mark)

    @property
    def is_alive(self) -> bool:
        return process_mark(self.pid) == self.mark


class Claim(msgspec.Struct, frozen=True):
    #: None where a cancellation took the claim: nothing will ever run.
    supervisor: ProcessRef | None


class Start(msgspec.Struct, frozen=True):
    start_ms: int
    #: The command's first process and leader of its group; None while it is being made.
    process: ProcessRef | None = None
    is_paused: bool = False


class Wish(msgspec.Struct, frozen=True):
    """What the supervisor is asked to do, told by SIGUSR1."""

    is_paused: bool


class Result(msgspec.Struct, frozen=True):
    start_ms: int | None
    end_ms: int
    exit_code: int | None
    detail: str = ""
    #: What the command says that it made, by unit.
    units: dict[str, int] = {}

    def look(self) -> Look:
        return Look(
            LookState.ENDED, self.start_ms, self.end_ms, self.exit_code, self.detail, self.units
        )


Statement = TypeVar("Statement", Spec, Claim, Start, Wish, Result)


class AttemptFolder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, spec: Spec) -> None:
        """A second call with the same attempt changes nothing that matters."""
        self._make()
        self._write("spec.json", spec)

    def claim(self, claim: Claim) -> bool:
        """Takes the sole right to this attempt; False where somebody has it already."""
        self._make()
        with self._written(claim) as draft:
            try:
                os.link(draft, self.path / "claim.json")
            except FileExistsError:
                return False
        return True

    def write_start(self, start: Start) -> None:
        self._write("start.json", start)

    def write_wish(self, wish: Wish) -> None:
        self._write("wish.json", wish)

    def write_result(self, result: Result) -> None:
        self._write("result.json", result)

    def spec(self) -> Spec | None:
        return self._read("spec.json", Spec)

    def claimed(self) -> Claim | None:
        return self._read("claim.json", Claim)

    def started(self) -> Start | None:
        return self._read("start.json", Start)

    def wish(self) -> Wish | None:
        return self._read("wish.json", Wish)

    def result(self) -> Result | None:
        return self._read("result.json", Result)

    @property
    def units(self) -> Path:
        """To which the command appends what it made."""
        return self.path / "units.txt"

    def log(self, stream: str) -> Path:
        return self.path / f"{stream}.log"

    def _make(self) -> None:
        """For this user alone: what a job is given and what it writes may be secret."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _read(self, name: str, kind: type[Statement]) -> Statement | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except FileNotFoundError:
            return None

    def _write(self, name: str, statement: msgspec.Struct) -> None:
        with self._written(statement) as draft:
            draft.replace(self.path / name)

    @contextmanager
    def _written(self, statement: msgspec.Struct) -> Iterator[Path]:
        """A draft on the disk, readable by this user alone, gone afterwards."""
        descriptor, name = tempfile.mkstemp(dir=self.path, prefix=".draft-")
        draft = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(statement))
                file.flush()
                os.fsync(file.fileno())
            yield draft
        finally:
            with contextlib.suppress(FileNotFoundError):
                draft.unlink()
