"""/v1/experiments: what is compared, and what was found."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from carbon.wire.energy import EnergyMj, Text

#: Settings, and no payload: what a model was asked or answered has no place here.
Scalar = Annotated[str, Meta(max_length=200)] | int | float | bool | None
Settings = dict[Text, Scalar]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Pue = Annotated[float, Meta(ge=1)]
Examples = Annotated[int, Meta(ge=0, le=1 << 40)]


class Totals(Struct, frozen=True, forbid_unknown_fields=True):
    """What a site sends in place of its readings: sums over whole quarter-hours."""

    energy_mj: EnergyMj
    operational_g: NotNegative
    count: Positive
    embodied_g: NotNegative = 0.0


class BlockBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A run, or a window from `start` to `end`, of the arm's workload."""

    run: Text | None = None
    start: Text | None = None
    end: Text | None = None
    #: In the metric of the experiment.
    quality: float | None = None
    site: Annotated[str, Meta(max_length=200)] = ""
    totals: Totals | None = None


class StatedConditions(Struct, frozen=True, forbid_unknown_fields=True):
    """Of an arm whose blocks are totals; with readings the ledger knows."""

    boundary: dict[str, Any]
    factors: list[Text]
    methods: Annotated[list[Text], Meta(min_length=1)]
    zones: list[Text]
    hardware: list[Text]
    #: Several where an arm is of several sites.
    pue: Pue | list[Pue | None] | None = None


class ArmBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    blocks: Annotated[list[BlockBody], Meta(max_length=500)]
    #: By default the experiment's.
    workload: Text | None = None
    unit: Text | None = None
    config: Settings = {}
    artefacts: dict[Text, Text] = {}
    selection: Settings = {}
    stated: StatedConditions | None = None


class CostBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Carbon that making the treatment took: stated, or a run of the ledger."""

    what: Text
    grams: NotNegative | None = None
    run: Text | None = None
    workload: Text | None = None


class GatesBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    quality_loss: NotNegative | None = None
    worst_group_loss: NotNegative | None = None
    equalised_odds_change: NotNegative | None = None
    verdict: Literal["saves", "not_costs"] | None = None


class CellBody(Struct, frozen=True, forbid_unknown_fields=True):
    """Examples of one group and true label, by which arm was right."""

    group: Text
    label: Text
    both_right: Examples
    baseline_only: Examples
    treatment_only: Examples
    both_wrong: Examples


class ExperimentBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    workload: Text
    technique: Text
    baseline: ArmBody
    treatment: ArmBody
    parameters: Settings = {}
    unit: Text | None = None
    title: Annotated[str, Meta(max_length=200)] = ""
    #: Of hardware, zone, pue: what differs because it is the treatment.
    treats: list[Literal["hardware", "zone", "pue"]] = []
    #: First blocks of each arm that are discarded.
    warm_up: Annotated[int, Meta(ge=0, le=100)] = 0
    quality_metric: Annotated[str, Meta(max_length=100)] = ""
    optimisation: list[CostBody] = []
    gates: GatesBody = GatesBody()
    answers: Annotated[list[CellBody], Meta(max_length=2000)] = []
    publish: bool = False


class DeltaAnswer(Struct, frozen=True):
    """Treatment less baseline; `low` and `high` bound `value` at 95 %."""

    unit: str
    baseline: float
    treatment: float
    value: float
    low: float
    high: float
    #: Of the baseline; null where that is 0.
    relative: float | None
    relative_low: float | None
    relative_high: float | None


class FairnessGroup(Struct, frozen=True):
    group: str
    examples: int
    baseline_accuracy: float
    treatment_accuracy: float
    loss: float
    low: float
    high: float
    agreement: float
    p_value: float


class Bounded(Struct, frozen=True):
    value: float
    low: float
    high: float


class FairnessAnswer(Struct, frozen=True):
    examples: int
    accuracy_loss: Bounded
    groups: list[FairnessGroup]
    #: Groups of fewer than five examples.
    groups_withheld: int
    worst_group: str | None
    worst_group_loss: Bounded | None
    equalised_odds_change: Bounded | None
    p_value: float


class Deltas(Struct, frozen=True):
    energy: DeltaAnswer
    operational: DeltaAnswer
    embodied: DeltaAnswer
    sci: DeltaAnswer
    quality: DeltaAnswer | None
    fairness: FairnessAnswer | None


class BlockAnswer(Struct, frozen=True):
    start: str
    end: str
    energy_mj: int
    operational_g: float
    embodied_g: float
    count: float
    sci_g_per_unit: float
    quality: float | None
    site: str
    run: str | None


class ArmAnswer(Struct, frozen=True):
    workload: str
    blocks: list[BlockAnswer]
    energy_mj: int
    operational_g: float
    embodied_g: float
    total_g: float
    count: float
    sci_g_per_unit: float
    config: dict[str, Any]
    artefacts: dict[str, str]
    methods: list[str]
    method_class: str
    hardware: list[str]
    zones: list[str]
    #: Null where nobody stated one, and 1 was taken.
    pue: list[float | None]


class GateAnswer(Struct, frozen=True):
    name: str
    limit: float | str
    #: `passed`, `failed`, `unproven`, `not_stated`: but the first all count as not passed.
    outcome: str
    value: float | str | None
    low: float | None
    high: float | None


class BreakEvenAnswer(Struct, frozen=True):
    cost_g: float
    count: float | None
    low: float | None
    high: float | None
    reason: str | None


class ReboundAnswer(Struct, frozen=True):
    baseline_g_per_day: float
    treatment_g_per_day: float
    baseline_count_per_day: float
    treatment_count_per_day: float


class ExperimentStatement(Struct, frozen=True, kw_only=True):
    """All that was found, fixed when it was recorded."""

    workload: str
    title: str
    technique: str
    parameters: dict[str, Any]
    unit: str
    treats: list[str]
    warm_up: int
    quality_metric: str
    baseline: ArmAnswer
    treatment: ArmAnswer
    config_diff: dict[str, Any]
    artefact_diff: dict[str, Any]
    deltas: Deltas
    verdict: str
    #: How sure the verdict is; the intervals are at 0.95.
    verdict_confidence: float
    gates: list[GateAnswer]
    passed: bool
    break_even: BreakEvenAnswer | None
    rebound: ReboundAnswer
    caveats: list[str]
    boundary: dict[str, Any]
    factors: list[str]
    intensity: list[str]
    #: Both arms at one price; null where the price is what was treated.
    g_per_kwh: float | None
    #: What the boundary leaves out, and what this experiment does not know.
    not_measured: list[str]
    method: str


class ExperimentRecord(Struct, frozen=True):
    """What stands beside the statement in an answer."""

    id: str
    team: str
    recorded: str
    recorded_by: str
    published: bool
    statement_hash: str
    audit_entry: int
    audit_hash: str


class ExperimentSummary(Struct, frozen=True):
    """One line of the optimisation log."""

    id: str
    team: str
    workload: str
    title: str
    technique: str
    recorded: str
    recorded_by: str
    published: bool
    verdict: str
    passed: bool
    unit: str
    before_g_per_unit: float
    after_g_per_unit: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    config_diff: dict[str, Any]
    statement_hash: str
    #: Of the results; null where it was not measured.
    quality: DeltaAnswer | None


class ExperimentList(Struct, frozen=True):
    experiments: list[ExperimentSummary]
    next: str | None
