"""A planted treatment that harms one group, and the gate that must stop it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from carbon.bench.figure import Figure, at_least, reported
from carbon.evaluation.answers import Cell, tally
from carbon.evaluation.fairness import judge
from carbon.evaluation.gates import Outcome, judge_harm

_GROUP_LIMIT: Final = 0.02


def harm(seeds: int) -> Iterator[Figure]:
    """A treatment that loses a tenth of the answers of one group of five."""
    stopped = sum(_outcome(seed, 0.10) is not Outcome.PASSED for seed in range(seeds))
    yield at_least(
        "an unfair treatment stopped by its gate", stopped / seeds * 100, "%", 100.0,
        f"{seeds} seeds, one group of five loses 10 points, limit {_GROUP_LIMIT:.0%}",
    )  # fmt: skip
    passed = sum(_outcome(seed, 0.0) is Outcome.PASSED for seed in range(seeds))
    yield reported(
        "a harmless treatment let through", passed / seeds * 100, "%", "2 000 examples a group"
    )


def _outcome(seed: int, harm: float) -> Outcome:
    found = judge(_cells(seed, harm), seed=seed, resamples=500)
    return judge_harm("worst_group_loss", _GROUP_LIMIT, found.worst_group_loss).outcome


def _cells(seed: int, harm: float) -> list[Cell]:
    rng = random.Random(seed)
    return tally(row for group in "abcde" for row in _rows(rng, group, harm * (group == "e")))


def _rows(rng: random.Random, group: str, harm: float) -> Iterator[tuple[str, str, str, str]]:
    """Right 9 times in 10, and both arms alike but for the harm and a hundredth by chance."""
    for _ in range(2_000):
        label = rng.choice("01")
        wrong = "1" if label == "0" else "0"
        baseline = label if rng.random() < 0.9 else wrong
        flipped = rng.random() < 0.01
        treatment = rng.choice((label, wrong)) if flipped else baseline
        yield group, label, baseline, wrong if rng.random() < harm else treatment
