"""/v1/jobs and /v1/pools."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Argument = Annotated[str, Meta(max_length=131_072)]
#: Up to a year.
LengthS = Annotated[float, Meta(gt=0, le=31_536_000)]
PowerW = Annotated[float, Meta(gt=0, le=100_000_000)]


class JobBody(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
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
    #: Of a job that may pause: the shortest segment, the most pauses, and what it takes to save
    #: and restore at each, as time of running.
    min_segment_s: Annotated[float, Meta(ge=0, le=31_536_000)] = 0.0
    max_pauses: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    checkpoint_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    checkpoint: Argument | None = None
    pool: Text | None = None
    #: What its length and power are learned by beside team and name; unstated it is the executor,
    #: the pool and what it asks of devices.
    job_class: Text | None = field(default=None, name="class")
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


class PlacementAnswer(Struct, frozen=True, gc=False):
    start: str
    end: str | None
    zone: str
    #: gCO2e expected at the planned start, and had the job started when it was submitted.
    expected_g: float | None
    start_now_g: float | None
    #: [start, end] of each part, of a job that pauses in between.
    segments: list[list[str]] | UnsetType = UNSET


class JobAnswer(Struct, frozen=True, gc=False):
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
    job_class: str = field(name="class")


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
    #: Actual and counterfactual at the marginal intensity; null where the zone has none.
    marginal_g: float | None
    marginal_counterfactual_g: float | None
    #: What was expected when the job was placed.
    expected_saving_g: float | None
    delay_s: float | None
    flags: list[str]


class PoolPreference(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a pool's plans weigh beside carbon."""

    #: An hour of delay must save at least this share of what starting at once would emit.
    saving_per_hour: Annotated[float, Meta(ge=0, le=100)] = 0.0
    #: A unit of money weighs as much as this many gCO2e.
    g_per_money: Annotated[float, Meta(ge=0, le=1_000_000_000)] = 0.0
    #: Money per kWh in each of the 24 hours of the civil day.
    money_per_kwh: Annotated[
        list[Annotated[float, Meta(ge=0, le=1_000_000)]], Meta(max_length=24)
    ] = []


Weight = Annotated[float, Meta(gt=0, le=1_000_000)]


class PoolBody(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out of a pool that exists stays as it is."""

    name: Text
    capacity: Annotated[int, Meta(ge=1, le=1_000_000)] | UnsetType = UNSET
    preference: PoolPreference | None = None
    #: What each team counts when clean hours are shared; 1 where nothing is said.
    weights: Annotated[dict[Text, Weight], Meta(max_length=10_000)] | None = None


class PoolPlanAnswer(Struct, frozen=True):
    """The last plan of a pool."""

    decided: str
    jobs: int
    method: str
    #: How far above the bound that no plan goes below it is at most; null where unknown.
    gap: float | None


class PoolAnswer(Struct, frozen=True):
    name: str
    #: Jobs that may run at once; null takes the executor's default.
    capacity: int | None
    running: int
    waiting: int
    preference: PoolPreference = PoolPreference()
    weights: dict[str, float] = {}
    plan: PoolPlanAnswer | None = None


class DecisionAnswer(Struct, frozen=True):
    """One placement that a job has had."""

    decided: str
    start: str
    end: str
    latest_start: str
    segments: list[list[str]]
    zone: str
    expected_g: float | None
    start_now_g: float | None
    reason: str
    #: Publications of intensity that the plan was made from.
    vintages: list[int]
    #: The plan, with how many jobs it was made at once, how, and its certified gap.
    plan: int | None
    planned_with: int | None
    method: str | None
    gap: float | None
    #: Whether the same inputs gave the same again; null where it was not asked or is not known.
    replays: bool | None


class DecisionList(Struct, frozen=True):
    id: str
    decisions: list[DecisionAnswer]


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
