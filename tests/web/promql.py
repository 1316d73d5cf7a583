"""The part of PromQL that the dashboard speaks, over two scrapes: enough to run its panels."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]

_RATE = re.compile(r"rate\((\w+)\[\w+\]\)")
_FOLDED = re.compile(r"(sum|max)(?: by \(([\w, ]+)\) ?)?\((.+)\)")
_TOP = re.compile(r"topk\((\d+), (.+)\)")
_FOLDS: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max}


@dataclass(frozen=True)
class Scrapes:
    """What a Prometheus knows that has asked twice, `seconds` apart."""

    before: dict[str, Vector]
    after: dict[str, Vector]
    seconds: float

    def of(self, query: str) -> Vector:
        """The value now. Raises ValueError for what is not spoken here."""
        if found := _TOP.fullmatch(query):
            ranked = sorted(self.of(found[2]).items(), key=lambda one: -one[1])
            return dict(ranked[: int(found[1])])
        if found := _FOLDED.fullmatch(query):
            return _folded(_FOLDS[found[1]], found[2], self.of(found[3]))
        if found := _RATE.fullmatch(query):
            earlier = self.before[found[1]]
            rises = {k: v - earlier.get(k, 0.0) for k, v in self.after[found[1]].items()}
            return {labels: rise / self.seconds for labels, rise in rises.items()}
        if query in self.after:
            return self.after[query]
        raise ValueError(query)


def _folded(fold: Callable[[Iterable[float]], float], by: str | None, vector: Vector) -> Vector:
    kept = set(re.split(r", *", by)) if by else set()
    groups: dict[Labels, list[float]] = defaultdict(list)
    for labels, value in vector.items():
        groups[frozenset(pair for pair in labels if pair[0] in kept)].append(value)
    return {labels: fold(values) for labels, values in groups.items()}


def scraped(registry: CollectorRegistry) -> dict[str, Vector]:
    found: dict[str, Vector] = defaultdict(dict)
    for family in registry.collect():
        for sample in family.samples:
            found[sample.name][frozenset(sample.labels.items())] = float(sample.value)
    return found
