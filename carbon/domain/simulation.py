"""Monte Carlo over the sources of error: the check on first-order intervals, and the better one
where errors are wide or lopsided.

Draws belong to sources and not to terms: a year of hours that share a sensor and a feed costs
as much as one hour, and two figures drawn with one seed share what they have in common, so that
it cancels in their difference.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from random import Random
from typing import Final

from carbon.domain.uncertainty import Interval, Source, Term

DRAWS: Final = 10_000
#: Standard deviations in a 95 % half-width.
_Z_95: Final = 1.959963984540054

_Sources = tuple[Source, ...]


def simulate(terms: Iterable[Term], seed: str, draws: int = DRAWS) -> Interval:
    """The sum of terms with its central 95 %, from seeded draws; the same on every machine.

    Each source errs by a normal on either side of 0, as wide as its half-width there, and never
    below -100 %. The bounds are widened to hold the value itself.
    """
    summed = _summed(terms)
    value = math.fsum(summed.values())
    totals = sorted(drawn(summed, seed, draws))
    if not totals:
        return Interval.exact(value)
    low, high = totals[round(0.025 * (draws - 1))], totals[round(0.975 * (draws - 1))]
    return Interval(value, min(low, value), max(high, value))


def drawn(summed: Mapping[_Sources, float], seed: str, draws: int = DRAWS) -> list[float]:
    """The totals, one a draw; empty where nothing is uncertain."""
    merged = _merged(summed)
    errors: dict[Source, list[float]] = {}
    normals: dict[Hashable, list[float]] = {}
    for source in {source: None for sources in merged for source in sources}:
        if source.key not in normals:
            normals[source.key] = _normals(seed, source.key, draws)
        errors[source] = _factors(normals[source.key], source)
    columns = [_column(value, sources, errors, draws) for sources, value in merged.items()]
    return [math.fsum(row) for row in zip(*columns, strict=True)] if normals else []


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


def _normals(seed: str, key: Hashable, draws: int) -> list[float]:
    gauss = Random(f"{seed}/{key!r}").gauss
    return [gauss(0.0, 1.0) for _ in range(draws)]


def _factors(normals: Sequence[float], source: Source) -> list[float]:
    below, above = source.below / _Z_95, source.above / _Z_95
    if below * max(map(abs, normals), default=0.0) < 1.0:
        return [1.0 + z * (above if z > 0 else below) for z in normals]
    return [max(0.0, 1.0 + z * (above if z > 0 else below)) for z in normals]


def _column(
    value: float, sources: _Sources, errors: Mapping[Source, list[float]], draws: int
) -> list[float]:
    if not sources:
        return [value] * draws
    product = [value * factor for factor in errors[sources[0]]]
    for source in sources[1:]:
        product = [so_far * by for so_far, by in zip(product, errors[source], strict=True)]
    return product
