"""/v1/reports and /v1/audit: what is issued, walked, restated and proven."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from carbon.domain.reports import COVERAGE_FLOOR, MATERIALITY, GapPolicy, HostPolicy, IdlePolicy
from carbon.wire.answer import SciAnswer
from carbon.wire.energy import Text

Share = Annotated[float, Meta(ge=0, le=1)]


class ReportBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One window; of one or several workloads; in one, several or (by default) all own units."""

    start: str
    end: str
    workload: Text | None = None
    workloads: Annotated[list[Text], Meta(max_length=100)] = []
    unit: Text | None = None
    units: Annotated[list[Text], Meta(max_length=20)] = []
    title: Annotated[str, Meta(max_length=200)] = ""
    #: Relative change of a figure above which a restatement is notified.
    materiality: Share = MATERIALITY
    #: Below it the report is marked, not refused.
    coverage_floor: Share = COVERAGE_FLOOR
    #: A total is never the measured part alone, unless the request says so.
    gaps: GapPolicy = GapPolicy.FILL
    idle: IdlePolicy = IdlePolicy.RESERVER
    host_parts: HostPolicy = HostPolicy.ENERGY
    #: Who is to be told of restatements; recorded with the report.
    recipients: Annotated[list[Text], Meta(max_length=100)] = []
    webhook: Text | None = None


class OperationalPart(Struct, frozen=True):
    """O of one device by one method and one way of pricing. Masses in ng sum exactly."""

    device: str
    kind: str
    model: str
    method: str
    zone: str
    source: str
    signal: str
    scope: str
    intensity_kind: str
    energy_mj: int
    covered_ms: int
    operational_ng: int


class EmbodiedPart(Struct, frozen=True):
    """M of one device, for the time that it was held."""

    device: str
    kind: str
    model: str
    factor: str
    #: Total embodied emissions of the device, and its expected life.
    total_g: float
    lifespan: str
    lifespan_ms: int
    reserved_ms: int
    embodied_ng: int
    #: Older than its expected life: nothing was left to charge.
    past_life: bool = False
    #: Of a server's part (`kind` is `server`): among how many devices it is divided.
    shared_by: int = 1


class Simulated(Struct, frozen=True):
    """How `low` and `high` of the answer were drawn, and the first-order bounds as their check."""

    draws: int
    seed: str
    first_order_low: float | None
    first_order_high: float | None


class ReportLine(Struct, frozen=True):
    """One workload in one unit."""

    answer: SciAnswer
    simulated: Simulated
    operational: list[OperationalPart]
    embodied: list[EmbodiedPart]
    marks: list[str]


class Statement(Struct, frozen=True):
    """What is issued. The same inputs give the same bytes."""

    method: str
    start: str
    end: str
    policies: dict[str, str]
    materiality: float
    coverage_floor: float
    marks: list[str]
    lines: list[ReportLine]
    #: Of the input hashes of all lines.
    input_hash: str


class Restatement(Struct, frozen=True):
    reason: str
    #: Greatest relative change of a line's total or score; null where one appears or vanishes.
    change: float | None
    notice: bool
    recipients: list[str] = []
    webhook: str | None = None


class NoticeAnswer(Struct, frozen=True):
    """Of a restatement above the materiality, for one whom the report names."""

    channel: str  #: `webhook` or `mail`
    target: str
    #: `due`, `sent`, `failed` (tried often enough) or `not_sent` (no way from here).
    state: str
    at: str
    detail: str


class ReportAnswer(Struct, frozen=True):
    id: str
    title: str
    team: str
    issued_at: str
    issued_by: str
    statement_hash: str
    #: Number and hash of the report's entry in the audit log.
    audit_entry: int
    audit_hash: str
    restates: str | None
    restatement: Restatement | None
    superseded_by: str | None
    #: Of the restatement that supersedes this report, where it is to be told.
    notice: str | None
    #: Who was to be told of that restatement, else of this one, and whether it reached them.
    notices: list[NoticeAnswer]
    #: A `Statement`, byte by byte as it was issued.
    statement: Raw


class ReportSummary(Struct, frozen=True):
    id: str
    title: str
    team: str
    issued_at: str
    statement_hash: str
    restates: str | None


class ReportList(Struct, frozen=True):
    reports: list[ReportSummary]
    next: str | None


class Term(Struct, frozen=True):
    symbol: str
    value: float | None
    unit: str
    how: str


class EvidenceRow(Struct, frozen=True):
    """A 5-minute bucket of one device: the finest step at which carbon is computed."""

    start: str
    end: str
    device: str
    meter: str
    method: str
    zone: str
    source: str
    energy_mj: int
    g_per_kwh: float
    pue: float
    operational_ng: int
    formula: str


class EvidenceReading(Struct, frozen=True):
    start: str
    end: str
    meter: str
    device: str
    method: str
    energy_mj: int


class Explanation(Struct, frozen=True):
    report: str
    workload: str
    unit: str
    formula: str
    terms: list[Term]
    operational: list[OperationalPart]
    embodied: list[EmbodiedPart]
    #: One line of arithmetic for each part of M.
    embodied_formulas: list[str]
    rows: list[EvidenceRow]
    #: Pass it as `after` for further rows.
    next: str | None
    #: Raw readings behind the first row, while they are hot.
    readings: list[EvidenceReading]
    #: Whether the ledger, factors and boundary still give what was issued.
    unchanged: bool
    statement_hash: str


class RestateBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A dry run unless `commit` is set, which needs a reason."""

    commit: bool = False
    reason: Annotated[str, Meta(max_length=2000)] = ""


class ChangedFigure(Struct, frozen=True):
    figure: str
    as_reported: float | None
    restated: float | None
    change: float | None


class ChangedLine(Struct, frozen=True):
    workload: str
    unit: str
    figures: list[ChangedFigure]
    #: What changed: `readings`, `factors`, `boundary`, `counts`.
    causes: list[str]


class RestateAnswer(Struct, frozen=True):
    report: str
    dry_run: bool
    changed: bool
    change: float | None
    notice: bool
    lines: list[ChangedLine]
    #: The report as issued anew; null in a dry run.
    restated: ReportAnswer | None


class AuditEntry(Struct, frozen=True):
    id: int
    at: str
    actor: str
    action: str
    subject: str
    body: Raw
    hash: str


class AuditPage(Struct, frozen=True):
    entries: list[AuditEntry]
    next: int | None


class AuditFault(Struct, frozen=True):
    entry: int | None
    code: str
    detail: str


class AuditProof(Struct, frozen=True):
    intact: bool
    entries: int
    #: Hash of the newest entry: note it, and a log cut short is found later.
    head: str
    faults: list[AuditFault]
    fault_count: int
