"""GET and POST of /v1/factors."""

from __future__ import annotations

from msgspec import Struct

from carbon.domain.factor import Distribution, FactorKind, LifeCycleStage, Tier, Unit
from carbon.wire.energy import Text


class FactorBody(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A factor to record. `kind`, `subject`, `name` and `unit` are those of the superseded one
    where they are left out; `low` and `high` bound the central 95 %."""

    value: float
    low: float
    high: float
    source: Text
    vintage: Text
    licence: Text
    tier: Tier
    id: Text | None = None
    kind: FactorKind | None = None
    subject: Text | None = None
    name: str | None = None
    unit: Unit | None = None
    life_cycle_stages: list[LifeCycleStage] = []
    flags: list[Text] = []
    note: str = ""
    distribution: Distribution = Distribution.SPLIT_NORMAL
    source_hash: str = ""
    #: RFC 3339; for all time where left out.
    valid_from: str | None = None
    valid_to: str | None = None
    supersedes: str | None = None
    #: Says which reports would change, and records nothing.
    dry_run: bool = False


class FactorAnswer(Struct, frozen=True):
    id: str
    kind: str
    subject: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    distribution: str
    source: str
    source_hash: str
    licence: str
    vintage: str
    tier: str
    life_cycle_stages: list[str]
    flags: list[str]
    note: str
    valid_from: str | None
    valid_to: str | None
    #: Null for what ships.
    recorded_at: str | None
    supersedes: str | None
    superseded_by: list[str]
    #: Ids of what other sources say of the same thing.
    beside: list[str]


class FactorList(Struct, frozen=True):
    factors: list[FactorAnswer]


class AffectedReport(Struct, frozen=True):
    """A report that the factor would change, by its greatest relative change of a total."""

    report: str
    start: str
    end: str
    change: float
    #: Above the materiality of the report: its readers are to be told.
    notice: bool


class FactorRecorded(Struct, frozen=True):
    factor: FactorAnswer
    recorded: bool
    affected: list[AffectedReport]
