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


def embodied_g(total_g: float, reserved: float, lifespan: float, share: float = 1.0) -> float:
    """M in grams; `reserved` and `lifespan` (> 0) in one unit of time, `share` in 0..1."""
    return total_g * (min(reserved, lifespan) / lifespan) * share


def embodied_ng(total_g: float, reserved_ms: int, lifespan_ms: int, share_ppm: int = PPM) -> int:
    """M of one reservation in nanograms, rounded down; time beyond the lifespan is free.

    For a window of a longer reservation use `accrued_ng`, whose parts sum to the whole.
    """
    grams, per_grams = float(total_g).as_integer_ratio()
    reserved = min(reserved_ms, lifespan_ms)
    return grams * NG_PER_G * reserved * share_ppm // (per_grams * lifespan_ms * PPM)


def accrued_ng(
    total_g: float,
    commissioned_ms: int,
    lifespan_ms: int,
    start_ms: int,
    end_ms: int,
    share_ppm: int = PPM,
) -> int:
    """M of [start, end) for a device in service since `commissioned_ms`.

    Nothing accrues before that moment or after `lifespan_ms` of service. A difference of
    one cumulative integer function: windows that adjoin sum exactly to the window they make,
    and the life of a wholly reserved device to the whole of `total_g`.
    """

    def until(at_ms: int) -> int:
        served_ms = max(0, at_ms - commissioned_ms)
        return embodied_ng(total_g, served_ms, lifespan_ms, share_ppm)

    return until(end_ms) - until(start_ms)


def is_depreciated(commissioned_ms: int, lifespan_ms: int, at_ms: int) -> bool:
    """Past its expected life: shown with the score, since M is then 0 for a reason."""
    return at_ms >= commissioned_ms + lifespan_ms
