"""Embodied emissions: how a device's making is charged to the time for which it is reserved.

M = TE · TS · RS (ISO/IEC 21031:2024): total embodied emissions, share of the expected life,
share of the device. Past its expected life a device has been paid for and accrues nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from carbon.domain.factor import Factor
from carbon.domain.units import NG_PER_G, PPM


@dataclass(frozen=True, slots=True)
class EmbodiedCharge:
    """Embodied mass charged to a subject, with the two factors that it rests on."""

    device: str | int
    embodied_ng: int
    factor: Factor  #: total embodied emissions of the device
    lifespan: Factor
    reserved_ms: int = 0
    #: The device was older than its expected life, so that nothing was left to charge.
    past_life: bool = False
    #: Model of the server of which this is a share, and among how many devices it is divided;
    #: empty and 1 for a device's own footprint.
    server: str = ""
    shared_by: int = 1


def embodied_g(total_g: float, reserved: float, lifespan: float, share: float = 1.0) -> float:
    """M in grams; `reserved` and `lifespan` (> 0) in one unit of time, `share` in 0..1."""
    return total_g * (min(reserved, lifespan) / lifespan) * share


def embodied_ng(
    total_g: float,
    reserved_ms: int,
    lifespan_ms: int,
    share_ppm: int = PPM,
    shared_by: int = 1,
) -> int:
    """M of one reservation in nanograms, rounded down; time beyond the lifespan is free.

    `shared_by` divides what several devices carry alike, as the server around eight GPUs.
    """
    ng, per_ms = embodied_ratio(total_g, lifespan_ms, shared_by)
    return ng * min(reserved_ms, lifespan_ms) * share_ppm // (per_ms * PPM)


def embodied_ratio(total_g: float, lifespan_ms: int, shared_by: int = 1) -> tuple[int, int]:
    """Nanograms over milliseconds, exact: what reserved time is multiplied and divided by."""
    grams, per_grams = float(total_g).as_integer_ratio()
    return grams * NG_PER_G, per_grams * lifespan_ms * shared_by


def end_of_life_ms(commissioned_ms: int, lifespan_ms: int) -> int:
    """From then on a device has been paid for: M is 0 for a reason, which is shown."""
    return commissioned_ms + lifespan_ms
