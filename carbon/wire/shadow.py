"""/v1/shadow: what shifting would have saved on jobs that ran elsewhere."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.wire.jobs import LengthS, PowerW, Text

#: Two weeks at most: no plan looks further.
WaitH = Annotated[float, Meta(ge=0, le=336)]


class ShadowJob(Struct, frozen=True, forbid_unknown_fields=True):
    """A job that ran, wherever that was."""

    #: When it came, RFC 3339.
    submit: Text
    length_s: LengthS
    #: Of which the saving is told apart.
    team: Annotated[str, Meta(min_length=1, max_length=100)] = "all"
    power_w: PowerW | None = None
    #: Where nobody knows what it drew.
    cpus: Annotated[int, Meta(ge=1, le=1_000_000)] = 1


class ShadowBody(Struct, frozen=True, forbid_unknown_fields=True):
    zone: Text
    jobs: Annotated[list[ShadowJob], Meta(min_length=1, max_length=20_000)]
    #: How long jobs below two hours, and longer ones, might have waited.
    short_wait_h: WaitH = 6.0
    long_wait_h: WaitH = 24.0
    watts_per_cpu: PowerW = 10.0


class ShadowTeam(Struct, frozen=True):
    team: str
    jobs: int
    as_they_came_g: float
    saving_g: float


class ShadowAnswer(Struct, frozen=True):
    """Nothing was moved, and nothing of it is credited."""

    zone: str
    #: Of the jobs, in epoch ms; null where there are none.
    start_ms: int | None
    end_ms: int | None
    jobs: int
    as_they_came_g: float
    shifted_g: float
    saving_g: float
    #: null where nothing was emitted.
    saving_share: float | None
    #: With everything known.
    best_possible_g: float
    mean_delay_h: float
    p95_delay_h: float
    #: Hours whose intensity was measured; the others save nothing.
    hours_known_share: float
    teams: list[ShadowTeam]
    #: `power_assumed`, `queue_time_unknown`, `intensity_not_actual`.
    flags: list[str]
