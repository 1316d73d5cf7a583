"""What a CodeCarbon tracker and its command line send: their names and units, not ours.

Unknown members are let through, as other versions send more. Energies are kWh, masses kg.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from carbon.domain.units import energy_mj
from carbon.errors import InvalidInput

#: What CodeCarbon calls a part, and what the ledger calls the device.
PARTS: Final = {"cpu": "cpu", "gpu": "gpu", "ram": "dram"}
#: The part of `energy_consumed` that no other member explains.
REST: Final = "other"
#: No tracker's delta is larger; sums of what claims to be would leave the range of a column.
_MOST_KWH: Final = 1e6
_MOST_KG: Final = 1e6
#: Rounding of the sender's floats.
_SLACK: Final = 1e-6


class RunBody(Struct, frozen=True):
    """POST /runs: a tracker introduces itself."""

    timestamp: str
    experiment_id: str
    os: str | None = None
    python_version: str | None = None
    codecarbon_version: str | None = None
    cpu_count: float | None = None
    cpu_model: str | None = None
    gpu_count: float | None = None
    gpu_model: str | None = None
    longitude: float | None = None
    latitude: float | None = None
    region: str | None = None
    provider: str | None = None
    ram_total_size: float | None = None
    tracking_mode: str | None = None


class EmissionBody(Struct, frozen=True):
    """POST /emissions: what was drawn since the last one. Powers are means since the start."""

    timestamp: str
    run_id: str
    duration: float
    emissions_sum: float
    energy_consumed: float
    cpu_energy: float = 0.0
    gpu_energy: float = 0.0
    ram_energy: float = 0.0
    emissions_rate: float = 0.0
    cpu_power: float = 0.0
    gpu_power: float = 0.0
    ram_power: float = 0.0
    cpu_utilization_percent: float | None = None
    gpu_utilization_percent: float | None = None
    ram_utilization_percent: float | None = None
    wue: float | None = 0.0


class TotalsBody(Struct, frozen=True):
    """A run's totals, as `emissions_endpoint` posts them and `emissions.csv` lists them."""

    timestamp: str
    duration: float
    emissions: float
    energy_consumed: float
    project_name: str = "codecarbon"
    run_id: str | None = None
    experiment_id: str | None = None
    cpu_energy: float = 0.0
    gpu_energy: float = 0.0
    ram_energy: float = 0.0
    country_name: str | None = None
    country_iso_code: str | None = None
    os: str | None = None
    cpu_count: float | None = None
    cpu_model: str | None = None
    gpu_count: float | None = None
    gpu_model: str | None = None
    ram_total_size: float | None = None
    tracking_mode: str | None = None
    pue: float | None = 1.0


class OrganizationBody(Struct, frozen=True):
    name: str
    description: str = ""


class ProjectBody(Struct, frozen=True):
    name: str
    organization_id: str
    description: str = ""


class ProjectChange(Struct, frozen=True):
    name: str | None = None
    description: str | None = None


class ExperimentBody(Struct, frozen=True):
    name: str
    project_id: str
    description: str = ""
    timestamp: str | None = None
    on_cloud: bool = False
    country_name: str | None = None
    country_iso_code: str | None = None
    region: str | None = None
    cloud_provider: str | None = None
    cloud_region: str | None = None


class TokenBody(Struct, frozen=True):
    name: str = "api token"


def parts_mj(body: EmissionBody | TotalsBody) -> dict[str, int]:
    """IT energy by kind of device, mJ; a part of 0 is left out, since 0 is never "unknown".

    The client has multiplied its energies with its PUE, which only totals tell; it is taken out
    again. What `energy_consumed` has beyond its parts is of `other`.
    Raises InvalidInput (`negative_energy`, `implausible_energy`, `pue_below_one`).
    """
    pue = body.pue if isinstance(body, TotalsBody) and body.pue is not None else 1.0
    if not 1.0 <= pue <= 10.0:
        raise InvalidInput("pue_below_one", "a PUE lies between 1 and 10")
    stated = {
        PARTS["cpu"]: body.cpu_energy,
        PARTS["gpu"]: body.gpu_energy,
        PARTS["ram"]: body.ram_energy,
    }
    whole = body.energy_consumed
    for kwh in (*stated.values(), whole):
        if not 0.0 <= kwh <= _MOST_KWH:
            raise _unmeant(kwh, "energy")
    rest = whole - sum(stated.values())
    if rest > _SLACK * whole:
        stated[REST] = rest
    found = {kind: energy_mj(kwh / pue) for kind, kwh in stated.items()}
    return {kind: mj for kind, mj in found.items() if mj}


def claimed_ng(emissions_kg: float) -> int:
    """What the client says it emitted, ng. Raises InvalidInput(`negative_emissions`)."""
    if not 0.0 <= emissions_kg <= _MOST_KG:
        raise _unmeant(emissions_kg, "emissions")
    return round(emissions_kg * 1e12)


def _unmeant(value: float, what: str) -> InvalidInput:
    if value < 0 and math.isfinite(value):
        return InvalidInput(f"negative_{what}", f"{what} cannot be negative")
    return InvalidInput(f"implausible_{what}", f"{what} of {value:g} cannot be meant")
