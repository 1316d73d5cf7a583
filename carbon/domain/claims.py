"""Subjects, and the claims that say which workload a subject was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class SubjectKind(StrEnum):
    """What was seen drawing power."""

    RUN = "run"
    SLURM = "slurm"
    POD = "pod"
    UNIT = "unit"  #: a systemd unit
    USER = "user"
    NAME = "name"  #: nothing seen but a workload's name, as a plain post states it
    IDLE = "idle"
    UNATTRIBUTED = "unattributed"

    @property
    def is_nobody(self) -> bool:
        return self in (SubjectKind.IDLE, SubjectKind.UNATTRIBUTED)


@dataclass(frozen=True, slots=True)
class SubjectRef:
    """A subject as written on the wire: `kind:key`, or `idle` and `unattributed` alone."""

    kind: SubjectKind
    key: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> SubjectRef:
        """Raises ValueError where the kind is unknown, or a key is missing or superfluous."""
        kind_text, _, key = text.partition(":")
        kind = SubjectKind(kind_text)
        if kind.is_nobody == bool(key):
            raise ValueError(f"{text!r} is no subject")
        return cls(kind, key)


IDLE = SubjectRef(SubjectKind.IDLE)
UNATTRIBUTED = SubjectRef(SubjectKind.UNATTRIBUTED)

#: The workload id of what no claim names.
NO_WORKLOAD = 0


@dataclass(frozen=True, slots=True)
class Claim:
    """A subject was this workload over [start, end). Superseded, never edited."""

    subject: int
    workload: int
    start_ms: int
    end_ms: int
    recorded_ms: int
    claim: int = 0
    #: By a person with a reason: what senders state, however late, does not outweigh it.
    is_correction: bool = False


def workload_of(claims: Sequence[Claim], at_ms: int) -> int:
    """The workload that one subject's claims name at a moment: the latest recorded correction
    that covers it, else the latest recorded claim, or NO_WORKLOAD."""
    holding = [c for c in claims if c.start_ms <= at_ms < c.end_ms]
    if not holding:
        return NO_WORKLOAD
    return max(holding, key=lambda c: (c.is_correction, c.recorded_ms, c.claim)).workload
