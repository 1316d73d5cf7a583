"""Monte Carlo over the sources of error: 95 % bounds where errors are wide or lopsided.

Draws belong to sources and not to terms: a year of hours that share a sensor and a feed costs
as much as one hour, and two figures drawn with one seed share what they have in common, so that
it cancels in their difference. `domain.uncertainty.propagate` is the first order that it is
checked against.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from carbon.domain.uncertainty import Interval, Source, Term

DRAWS: Final = 10_000
#: Of every figure: what two of them share is drawn alike in both.
SEED: Final = "carbon-sci/1"
#: Standard deviations in a 95 % half-width.
_Z_95: Final = 1.959963984540054

_Sources = tuple[Source, ...]
_Draws: TypeAlias = npt.NDArray[np.float64]


def simulate(terms: Iterable[Term], seed: str = SEED, draws: int = DRAWS) -> Interval:
    """The sum of terms with its central 95 %, from seeded draws; the same on every machine.

    Each source errs by a normal on either side of 0, as wide as its half-width there, and never
    below -100 %. The bounds are widened to hold the value itself.
    """
    summed = _summed(terms)
    value = math.fsum(summed.values())
    totals = drawn(summed, seed, draws)
    if not totals.size:
        return Interval.exact(value)
    places = round(0.025 * (draws - 1)), round(0.975 * (draws - 1))
    ranked = np.partition(totals, places)
    low, high = (float(ranked[place]) for place in places)
    return Interval(value, min(low, value), max(high, value))


def drawn(summed: Mapping[_Sources, float], seed: str, draws: int = DRAWS) -> _Draws:
    """The totals, one a draw; empty where nothing is uncertain."""
    merged = _merged(summed)
    if not any(merged):
        return np.empty(0)
    totals = np.zeros(draws)
    factors: dict[Source, _Draws] = {}
    for sources, value in merged.items():
        column = np.full(draws, value)
        for source in sources:
            if source not in factors:
                factors[source] = _factors(_normals(seed, repr(source.key), draws), source)
            column *= factors[source]
        totals += column
    return totals


def _summed(terms: Iterable[Term]) -> dict[_Sources, float]:
    """Terms that err alike, added."""
    sums: dict[_Sources, list[float]] = defaultdict(list)
    for term in terms:
        sums[term.sources].append(term.value)
    return {sources: math.fsum(values) for sources, values in sums.items()}


def _merged(summed: Mapping[_Sources, float]) -> Mapping[_Sources, float]:
    """Sources that err in one sum alone, made one: a fleet of sensors costs as much as a few.

    Independent errors of many parts add in quadrature; their sum is near a normal.
    """
    places = Counter(key for sources in summed for key in {source.key for source in sources})
    if len(places) <= _MOST_SOURCES:
        return summed
    groups: dict[_Sources, list[tuple[float, Source]]] = defaultdict(list)
    kept: dict[_Sources, float] = {}
    for sources, value in summed.items():
        own = [source for source in sources if places[source.key] == 1]
        if len(own) == 1 and value > 0:
            groups[tuple(s for s in sources if s is not own[0])].append((value, own[0]))
        else:
            kept[sources] = value
    for rest, parts in groups.items():
        kept[(_joined(parts, rest), *rest)] = math.fsum(value for value, _ in parts)
    return kept


#: Up to here each source is drawn for itself.
_MOST_SOURCES: Final = 32


def _joined(parts: Sequence[tuple[float, Source]], rest: _Sources) -> Source:
    total = math.fsum(value for value, _ in parts)
    below = math.hypot(*(value * source.below for value, source in parts)) / total
    above = math.hypot(*(value * source.above for value, source in parts)) / total
    return Source(("joined", tuple(source.key for source in rest)), below, above)


@lru_cache(maxsize=64)
def _normals(seed: str, key: Hashable, draws: int) -> _Draws:
    """Of NumPy's frozen generator, whose stream no release may change."""
    digest = sha256(f"{seed}/{key}".encode()).digest()
    normals: _Draws = np.random.RandomState(np.frombuffer(digest, "<u4")).standard_normal(draws)
    normals.flags.writeable = False  # shared by all who ask
    return normals


def _factors(normals: _Draws, source: Source) -> _Draws:
    widths = np.where(normals > 0, source.above / _Z_95, source.below / _Z_95)
    factors: _Draws = np.maximum(0.0, 1.0 + normals * widths)
    return factors
