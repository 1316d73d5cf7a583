"""The other ledger: what a company buys, beside what its software caused.

Location-based figures come from the grid that fed the machines. Market-based ones follow
contracts and certificates (GHG Protocol, scope 2 guidance, 2015), and have types of their own:
none of them can be charged to an SCI score, which ISO/IEC 21031 keeps location-based.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from carbon.domain.units import MJ_PER_KWH, MS_PER_HOUR
from carbon.errors import InvalidInput


class ContractKind(StrEnum):
    CERTIFICATE = "certificate"  #: a guarantee of origin, REC, REGO
    PPA = "ppa"
    SUPPLIER = "supplier"  #: a tariff with an emission rate of its own
    RESIDUAL = "residual"  #: the zone's residual mix: what nobody has claimed; no energy of its own


@dataclass(frozen=True, slots=True)
class Contract:
    """Energy of one origin, valid for consumption in one zone over [start, end)."""

    id: str
    kind: ContractKind
    zone: str
    start_ms: int
    end_ms: int
    energy_mj: int
    g_per_kwh: float
    is_carbon_free: bool
    source: str
    evidence: str = ""

    def __post_init__(self) -> None:
        if self.end_ms <= self.start_ms:
            raise InvalidInput("end_before_start", f"{self.id}: end must lie after start")
        if not 0 <= self.g_per_kwh <= 2_000:
            raise InvalidInput("out_of_range", f"{self.id}: give 0 to 2000 g/kWh")
        if self.is_carbon_free and self.g_per_kwh > 0:
            raise InvalidInput("not_carbon_free", f"{self.id}: carbon-free energy has 0 g/kWh")
        if self.energy_mj < 0:
            raise InvalidInput("negative_value", f"{self.id}: energy is below 0")
        if (self.kind is ContractKind.RESIDUAL) is (self.energy_mj > 0):
            raise InvalidInput(
                "contract_energy",
                f"{self.id}: a residual mix has no energy of its own, every other contract has",
            )


@dataclass(frozen=True, slots=True)
class HourOfZone:
    """What the machines of a zone took from the grid in one hour: facility energy, PUE included."""

    zone: str
    start_ms: int
    energy_mj: int
    location_ng: int


@dataclass(frozen=True, slots=True)
class MarketMass:
    """Grams by contracts. Not a `Charge`, and nothing makes one of it."""

    grams: float
    #: Of the energy: under a contract, at a residual mix, and at the grid's mix for want of one.
    contracted_share: float
    residual_share: float
    grid_share: float


@dataclass(frozen=True, slots=True)
class ZoneInventory:
    zone: str
    energy_mj: int
    location_g: float
    market: MarketMass
    #: Hourly matching, excess capped hour by hour; of what is left the grid's own carbon-free
    #: share, where one is known: else it is a lower bound. None without energy.
    cfe_score: float | None


def inventory_of(
    hours: Sequence[HourOfZone],
    contracts: Iterable[Contract],
    grid_cfe: Mapping[str, float] | None = None,
) -> list[ZoneInventory]:
    """By zone. A contract serves its own zone and hours alone; what is left of it is lost.
    `grid_cfe` is the carbon-free share of a zone's grid, where it is known."""
    contracts, grid_cfe = list(contracts), grid_cfe or {}
    by_zone: dict[str, list[HourOfZone]] = {}
    for hour in hours:
        by_zone.setdefault(hour.zone, []).append(hour)
    return [
        _of_zone(zone, own, [c for c in contracts if c.zone == zone], grid_cfe.get(zone, 0.0))
        for zone, own in sorted(by_zone.items())
    ]


def _of_zone(
    zone: str, hours: Sequence[HourOfZone], contracts: Sequence[Contract], grid_cfe: float
) -> ZoneInventory:
    energy_mj = sum(hour.energy_mj for hour in hours)
    return ZoneInventory(
        zone,
        energy_mj,
        sum(hour.location_ng for hour in hours) / 1e9,
        _market(hours, contracts, energy_mj),
        cfe_score(hours, contracts, grid_cfe),
    )


def _market(
    hours: Sequence[HourOfZone], contracts: Sequence[Contract], energy_mj: int
) -> MarketMass:
    """Over each contract's validity its energy covers consumption, the first recorded first."""
    open_mj = {hour.start_ms: float(hour.energy_mj) for hour in hours}
    grams = contracted = 0.0
    for contract in contracts:
        if contract.kind is ContractKind.RESIDUAL:
            continue
        within = [at for at in open_mj if contract.start_ms <= at < contract.end_ms]
        needed = math.fsum(open_mj[at] for at in within)
        covered = min(needed, float(contract.energy_mj))
        if covered <= 0:
            continue
        for at in within:
            open_mj[at] -= open_mj[at] * covered / needed
        contracted += covered
        grams += covered / MJ_PER_KWH * contract.g_per_kwh
    rates = {h.start_ms: h.location_ng / 1e9 / h.energy_mj for h in hours if h.energy_mj}
    residual = 0.0
    for at, left_mj in open_mj.items():
        mix = next((c for c in contracts if _is_residual(c, at)), None)
        if mix is not None:
            residual += left_mj
            grams += left_mj / MJ_PER_KWH * mix.g_per_kwh
        else:
            grams += left_mj * rates.get(at, 0.0)
    whole = energy_mj or 1
    grid = max(0.0, energy_mj - contracted - residual)
    return MarketMass(grams, contracted / whole, residual / whole, grid / whole)


def _is_residual(contract: Contract, at_ms: int) -> bool:
    return contract.kind is ContractKind.RESIDUAL and contract.start_ms <= at_ms < contract.end_ms


def cfe_score(
    hours: Sequence[HourOfZone], contracts: Iterable[Contract], grid_cfe: float = 0.0
) -> float | None:
    """Share of the energy that was carbon-free, 0..1: what carbon-free contracts met in its own
    hour, and `grid_cfe` of what the grid had to give besides.

    A contract's energy is spread evenly over the hours of its validity; one for a single hour
    states that hour.
    """
    free = [c for c in contracts if c.is_carbon_free]
    total_mj = sum(hour.energy_mj for hour in hours)
    if not total_mj:
        return None
    met = math.fsum(
        min(float(hour.energy_mj), math.fsum(_in_hour(c, hour.start_ms) for c in free))
        for hour in hours
    )
    return (met + (total_mj - met) * grid_cfe) / total_mj


def _in_hour(contract: Contract, at_ms: int) -> float:
    overlap_ms = min(contract.end_ms, at_ms + MS_PER_HOUR) - max(contract.start_ms, at_ms)
    return contract.energy_mj * max(0, overlap_ms) / (contract.end_ms - contract.start_ms)


def water_of(
    kwh: Mapping[str, float], l_per_kwh: Mapping[str, float]
) -> tuple[float | None, list[str]]:
    """(litres, places whose factor nobody stated); None where none is.

    On site it is IT energy by WUE, at the power plants what was taken from the grid by the
    zone's own factor: PUE is in the second alone.
    """
    known = [place for place in kwh if place in l_per_kwh]
    missing = sorted(set(kwh) - set(known))
    return (math.fsum(kwh[p] * l_per_kwh[p] for p in known) if known else None), missing
