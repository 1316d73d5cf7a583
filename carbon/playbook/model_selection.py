"""1: a large and a small classifier on the same question, by request and by correct answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.networks import Data, answers, cells, data, network, train


def comparisons(seed: int, quick: bool) -> Sequence[Comparison]:
    training, test = data(seed, 4_000), data(seed + 1, 2_000)
    steps = 40 if quick else 500
    large, small = network(1024, 3), network(96, 2)
    for model in (large, small):
        train(model, training, steps)
    return [
        Comparison(
            title="a classifier of 2.2 million weights, or of 16 thousand",
            parameters={"baseline_model": "3 x 1024", "treatment_model": "2 x 96"},
            baseline=_answering(large, test),
            treatment=_answering(small, test),
            before={"width": 1024, "depth": 3},
            after={"width": 96, "depth": 2},
            units=["request", "correct_answer"],
            quality_metric="accuracy",
            cells=cells(answers(large, test), answers(small, test), test),
        )
    ]


def _answering(model: Any, test: Data) -> Work:
    def work(rounds: int) -> Done:
        right = 0
        for _ in range(rounds):
            right = int((answers(model, test) == test.y).sum())
        units = {"request": rounds * len(test), "correct_answer": rounds * right}
        return Done(units, right / len(test))

    return work
