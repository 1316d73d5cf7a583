"""/v1/jobs and /v1/pools."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Argument = Annotated[str, Meta(max_length=131_072)]
#: Up to a year.
LengthS = Annotated[float, Meta(gt=0, le=31_536_000)]
PowerW = Annotated[float, Meta(gt=0, le=100_000_000)]


class JobBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """POST /v1/jobs. Moments are RFC 3339 with an offset, or a duration from now on."""

    name: Text
    executor: Text
    deadline: Text
    #: A list is run as it stands, a text by /bin/sh.
    command: (
        Annotated[list[Argument], Meta(min_length=1, max_length=4096)]
        | Annotated[str, Meta(min_length=1, max_length=131_072)]
        | None
    ) = None
    #: In place of a command, for engines that have a language of their own.
    spec: dict[str, Any] | None = None
    earliest: Text | None = None
    length_s: LengthS | None = None
    power_w: PowerW | None = None
    interruptible: bool = False
    checkpoint: Argument | None = None
    pool: Text | None = None
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    retries: Annotated[int, Meta(ge=0, le=100)] = 0
    cwd: Annotated[str, Meta(min_length=1, max_length=4096)] | None = None
    env: dict[str, Argument] = {}
    #: Names only; the values lie with the engine.
    secrets: list[Text] = []
    workload: Text | None = None
    zones: list[Text] = []


class JobBatch(Struct, frozen=True, forbid_unknown_fields=True):
    jobs: Annotated[list[JobBody], Meta(min_length=1, max_length=1000)]


class JobChange(Struct, frozen=True, forbid_unknown_fields=True):
    """PATCH /v1/jobs/{id}."""

    deadline: Text


class PlacementAnswer(Struct, frozen=True):
    start: str
    end: str | None
    zone: str
    #: gCO2e expected at the planned start, and had the job started when it was submitted.
    expected_g: float | None
    start_now_g: float | None


class JobAnswer(Struct, frozen=True):
    id: str
    state: str
    reason: str
    placement: PlacementAnswer | None
    #: One sentence: why it waits and until when at most, or how it ended.
    why: str
    name: str
    workload: str
    executor: str
    pool: str
    deadline: str
    earliest: str
    #: The job goes by then whatever any forecast says.
    latest_start: str | None
    length_s: float | None
    power_w: float | None
    interruptible: bool
    priority: int
    retries_left: int
    created: str
    start: str | None
    end: str | None
    exit_code: int | None
    #: Such as `power_assumed`, `length_learned`.
    flags: list[str]


class JobRejection(Struct, frozen=True):
    index: int
    code: str
    detail: str


class JobBatchAnswer(Struct, frozen=True):
    jobs: list[JobAnswer]
    rejected: list[JobRejection]


class JobPage(Struct, frozen=True):
    jobs: list[JobAnswer]
    #: To be sent as `after` for the next page; null on the last.
    next: str | None


class AttemptAnswer(Struct, frozen=True):
    #: Also the run that its energy is booked to.
    id: str
    number: int
    state: str
    start: str | None
    end: str | None
    exit_code: int | None
    detail: str


class JobResult(Struct, frozen=True):
    id: str
    state: str
    exit_code: int | None
    start: str | None
    end: str | None
    attempts: list[AttemptAnswer]


class JobLogs(Struct, frozen=True):
    id: str
    attempt: str | None
    stdout: str
    stderr: str


class SavingAnswer(Struct, frozen=True):
    """What shifting saved. Figures are null where no energy of the job is known."""

    id: str
    #: Booked once and for all; before that it is what would be booked now.
    booked: bool
    energy_mj: int | None
    actual_g: float | None
    #: The same power profile, started at once.
    counterfactual_g: float | None
    counterfactual_start: str
    #: counterfactual - actual; below 0 for a loss.
    saving_g: float | None
    #: What counts: 0 where the energy is not measured or the intensity not settled.
    credited_g: float
    #: What was expected when the job was placed.
    expected_saving_g: float | None
    delay_s: float | None
    flags: list[str]


class PoolBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: Text
    capacity: Annotated[int, Meta(ge=1, le=1_000_000)]


class PoolAnswer(Struct, frozen=True):
    name: str
    #: Jobs that may run at once; null takes the executor's default.
    capacity: int | None
    running: int
    waiting: int


class PoolList(Struct, frozen=True):
    pools: list[PoolAnswer]


class JobEvent(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/jobs/{id}/events: what the system that runs a job has to tell of it."""

    state: Literal["started", "succeeded", "failed", "cancelled"]
    #: As the call that started it named it; unset means the last.
    attempt: Text | None = None
    #: RFC 3339; by default now.
    at: Text | None = None
    exit_code: Annotated[int, Meta(ge=0, le=255)] | None = None
    detail: Annotated[str, Meta(max_length=500)] = ""
    #: Drawn from the start to the end, with an end alone.
    energy_mj: Annotated[int, Meta(ge=0, le=1 << 53)] | None = None
    #: How it was measured; unknown unless said.
    method: Text = "imported"
