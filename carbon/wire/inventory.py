"""/v1/inventory: the company's energy and carbon, by location and by market."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from carbon.domain.inventory import ContractKind
from carbon.wire.energy import Text


class ContractBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`energy_kwh` of one origin, valid in one zone over [start, end)."""

    kind: ContractKind
    zone: Text
    start: str
    end: str
    g_per_kwh: float
    source: Text
    energy_kwh: Annotated[float, Meta(ge=0, le=1e12)] = 0.0
    carbon_free: bool = False
    #: Number of the certificate or contract where it can be looked up.
    evidence: str = ""
    id: Text | None = None


class ContractAnswer(Struct, frozen=True):
    id: str
    kind: str
    zone: str
    start: str
    end: str
    energy_kwh: float
    g_per_kwh: float
    carbon_free: bool
    source: str
    evidence: str


class ContractList(Struct, frozen=True):
    contracts: list[ContractAnswer]


class ZoneLine(Struct, frozen=True):
    zone: str
    #: Taken from the grid, PUE included.
    energy_kwh: float
    location_g: float
    market_g: float
    contracted_share: float
    residual_share: float
    #: Neither contract nor residual mix: counted at the grid's own intensity.
    grid_share: float
    cfe_score: float | None


class InventoryAnswer(Struct, frozen=True):
    """Sums over all machines, idle and unattributed energy included; of a team's key its own."""

    start: str
    end: str
    it_energy_kwh: float
    energy_kwh: float
    location_g: float
    market_g: float
    #: Of the devices, for the time that they were held, over their expected life.
    embodied_g: float
    contracted_share: float
    #: Hourly, contracts alone: a lower bound, since the grid's own share is not known here.
    cfe_score: float | None
    #: On site; null where no WUE is known.
    water_l: float | None
    #: At the power plants, of all that was taken from the grid, PUE included; null where no
    #: `grid_water` factor of any zone is recorded.
    water_off_site_l: float | None
    zones: list[ZoneLine]
    flags: list[str]


class FrameLine(Struct, frozen=True):
    code: str
    label: str
    value: float | None
    unit: str
    note: str


class FrameAnswer(Struct, frozen=True):
    """A reporting frame's own rows. `value` is null where the ledger cannot know it."""

    frame: str
    version: str
    operated: str
    start: str
    end: str
    lines: list[FrameLine]
