"""Student's t, as far as intervals need it."""

from __future__ import annotations

import math
from functools import cache


def t_cdf(t: float, degrees: int) -> float:
    """P(T <= t) for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    theta = math.atan(abs(t) / math.sqrt(degrees))
    cos, sin = math.cos(theta), math.sin(theta)
    if degrees % 2:
        inside = theta
        if degrees > 1:
            inside += sin * _sum(cos, range(3, degrees, 2), first=cos)
        central = 2 / math.pi * inside
    else:
        central = sin * _sum(cos, range(2, degrees, 2), first=1.0)
    return 0.5 + math.copysign(min(central, 1.0) / 2, t)


def _sum(cos: float, steps: range, first: float) -> float:
    """first + first·(n-1)/n·cos² + … over n of `steps`."""
    total = term = first
    for n in steps:
        term *= (n - 1) / n * cos * cos
        total += term
    return total


@cache
def t_quantile(p: float, degrees: int) -> float:
    """The t below which a share `p` (0.5 <= p < 1) lies."""
    low, high = 0.0, 2.0
    while t_cdf(high, degrees) < p:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if t_cdf(middle, degrees) < p:
            low = middle
        else:
            high = middle
    return high
