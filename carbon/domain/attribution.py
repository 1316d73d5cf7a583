"""Dividing one device's energy among those who drew it, to the last millijoule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

K = TypeVar("K")

#: Weights become integers of this resolution, relative to the greatest, before anything is
#: divided: from there on no rounding can make or lose energy.
_RESOLUTION: Final = 1 << 40


def split(energy_mj: int, weights: Mapping[K, float]) -> dict[K, int]:
    """Integer shares in proportion to the weights (>= 0, finite) that sum to `energy_mj` exactly.

    Largest remainder: each share is within 1 mJ of its exact part; of equal remainders the
    first key gets the odd millijoule. All weights zero means equal parts. Raises ValueError
    where there is nobody to give to.
    """
    if not weights:
        raise ValueError("energy cannot be split among nobody")
    parts = _integer_weights(weights)
    total = sum(parts.values())
    shares: dict[K, int] = {}
    remainders: list[tuple[int, K]] = []
    for key, part in parts.items():
        shares[key], remainder = divmod(energy_mj * part, total)
        remainders.append((remainder, key))
    left = energy_mj - sum(shares.values())
    remainders.sort(key=lambda item: -item[0])
    for _, key in remainders[:left]:
        shares[key] += 1
    return shares


def _integer_weights(weights: Mapping[K, float]) -> dict[K, int]:
    greatest = max(weights.values())
    if greatest <= 0:
        return dict.fromkeys(weights, 1)
    return {key: round(weight / greatest * _RESOLUTION) for key, weight in weights.items()}
