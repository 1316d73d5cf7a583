"""The SCI answer: GET /v1/workloads/{name}/sci, and the last line of `carbon run --json`."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from carbon.wire.workloads import UnitMeaning


class IntensityUsed(Struct, frozen=True):
    """How part of the energy was priced; shares of the energy sum to 1."""

    zone: str
    source: str
    signal: str
    scope: str
    kind: str
    flags: list[str]
    energy_share: float


class FactorUsed(Struct, frozen=True):
    id: str
    kind: str
    value: float
    low: float
    high: float
    unit: str
    source: str
    flags: list[str]


class SciAnswer(Struct, frozen=True, kw_only=True):
    """Times are RFC 3339; `energy_mj` is IT energy; masses include PUE. `low` and `high` bound
    `sci_g_per_unit` at 95 %. `measured_g + estimated_g = operational_g`."""

    workload: str
    start: str
    end: str
    unit: str
    #: Of a unit that is more than its name: `{definition, basis, converted_from, factor, source}`.
    unit_meaning: UnitMeaning | UnsetType = UNSET
    count: int | float
    #: Counts of the window outside the device-time that has energy; not part of R.
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
    #: Why there is no rate: `no_units`, `no_energy`.
    reason: str | UnsetType = UNSET
    #: Device-time backed by readings over device-time expected, 0..1; null without either.
    coverage: float | None
    #: Method to share of the energy.
    methods: dict[str, float]
    zones: list[str]
    boundary: dict[str, Any]
    factors: list[FactorUsed]
    intensity: list[IntensityUsed]
    #: `window_snapped`, `pue_unset`, `zone_guessed` ...
    flags: list[str]
    input_hash: str
