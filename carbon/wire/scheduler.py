"""The scheduler itself: /v1/scheduler."""

from __future__ import annotations

from msgspec import Struct

from carbon.wire.energy import Text


class PauseBody(Struct, frozen=True, forbid_unknown_fields=True):
    reason: Text


class PauseAnswer(Struct, frozen=True):
    since: str
    #: Id of the key that paused it.
    by: str
    reason: str


class SchedulerAnswer(Struct, frozen=True):
    #: Null where none ever led.
    leader: str | None
    is_alive: bool
    epoch: int | None
    #: Null while jobs are planned.
    paused: PauseAnswer | None
    waiting: int
    starting: int
    running: int
