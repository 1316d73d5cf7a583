"""GET /v1/sci: the SCI answer's figures by group and step."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class SeriesPoint(Struct, frozen=True, kw_only=True):
    """As the SCI answer of one workload, for one group and step."""

    start: str
    end: str
    #: Null where the group has several units and none was asked for.
    unit: str | None
    count: int | float
    count_set_aside: int | float
    energy_mj: int
    measured_g: float
    estimated_g: float
    operational_g: float
    embodied_g: float
    total_g: float
    sci_g_per_unit: float | None
    low: float | None
    high: float | None
    #: `no_units`, `no_energy`, `unit_required`.
    reason: str | UnsetType = UNSET
    #: Device-time read / device-time read or held; gaps inside of runs only the single answer
    #: knows.
    coverage: float | None
    methods: dict[str, float]
    zones: list[str]
    flags: list[str]


class SeriesGroup(Struct, frozen=True):
    #: One member for each of `group_by`. What no workload claims has null for team and workload,
    #: and `kind` says `idle` or `unattributed`.
    group: dict[str, str | None]
    points: list[SeriesPoint]


class SeriesAnswer(Struct, frozen=True):
    start: str
    end: str
    step: str
    group_by: list[str]
    groups: list[SeriesGroup]
    #: All groups together, in device-hours; energy and operational grams sum to it exactly.
    total: list[SeriesPoint]
    flags: list[str]
