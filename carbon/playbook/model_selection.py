"""1: a large and a small classifier on the same question, by request and by correct answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.device import Device
from carbon.playbook.networks import Data, answers, cells, data, trained, weights

_SMALL_WIDTH = 96


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    test = data(seed + 1, 2_000, device)
    width = 1024 * device.widening
    large = trained(width, 3, seed, 40 if quick else 120, device)
    small = trained(_SMALL_WIDTH, 2, seed, 40 if quick else 400, device)
    return [
        Comparison(
            title=f"a classifier of {weights(large)} weights, or of {weights(small)}",
            parameters={
                "baseline_model": f"3 x {width}",
                "treatment_model": f"2 x {_SMALL_WIDTH}",
            },
            baseline=_answering(large, test),
            treatment=_answering(small, test),
            before={"width": width, "depth": 3},
            after={"width": _SMALL_WIDTH, "depth": 2},
            units=["request", "correct_answer"],
            quality_metric="accuracy",
            cells=cells(answers(large, test), answers(small, test), test),
            device=device,
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
