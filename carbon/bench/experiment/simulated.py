"""How often a verdict errs and what it finds, over experiments drawn by chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from carbon.bench.figure import Figure, at_least, at_most
from carbon.domain.experiments.arms import Block
from carbon.domain.experiments.comparison import Delta, delta, pairs_needed
from carbon.domain.experiments.verdict import Verdict, verdict_of

#: Standard deviation of one block's figure; the playbook's lie between 1 and 5 %.
_NOISE: Final = 0.03
_EFFECT: Final = 0.05


def errors(runs: int) -> Iterator[Figure]:
    pairs = pairs_needed(_EFFECT, _NOISE)
    told = f"{runs} simulated, {pairs} blocks an arm, noise {_NOISE:.0%} with memory and drift"
    for name, ratio in (("a 5 % saving", 1 - _EFFECT), ("a 5 % rise", 1 + _EFFECT)):
        wanted = Verdict.SAVES if ratio < 1 else Verdict.COSTS
        found = [verdict_of(one) for one in _simulated(runs, pairs, ratio)]
        yield at_least(f"{name} found", found.count(wanted) / runs * 100, "%", 90.0, told)
    equal = list(_simulated(runs, pairs, 1.0))
    false = sum(verdict_of(one) is not Verdict.INCONCLUSIVE for one in equal)
    yield at_most("A/A with a verdict", false / runs * 100, "%", 5.0, told)
    covered = sum(one.low <= 0 <= one.high for one in equal)
    yield at_least("A/A whose 95 % interval holds 0", covered / runs * 100, "%", 93.0, told)
    planted = [verdict_of(one) for one in _simulated(100, 8, 0.7)]
    yield at_least("a planted 30 % saving found, 8 blocks", planted.count(Verdict.SAVES), "%", 100)


def _simulated(runs: int, pairs: int, ratio: float) -> Iterator[Delta]:
    """A/B/A/B on a machine that warms up, whose noise persists from block to block."""
    rng = random.Random(f"{pairs} {ratio}")
    for _ in range(runs):
        drift, carried = rng.gauss(0, 0.004), 0.0
        arms: tuple[list[Block], list[Block]] = ([], [])
        for place in range(2 * pairs):
            carried = 0.3 * carried + rng.gauss(0, _NOISE * (1 - 0.3**2) ** 0.5)
            drawn = 1e9 * (ratio if place % 2 else 1.0) * (1 + carried + drift * place)
            block = Block(place * 60_000, (place + 1) * 60_000, round(drawn), 0.0, 0.0, 1.0)
            arms[place % 2].append(block)
        yield delta(*arms, lambda block: block.energy_mj / block.count)
