"""4: a student taught by a large teacher. What teaching took must be paid back first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from carbon.playbook.comparison import Comparison
from carbon.playbook.networks import Data, answers, cells, data, network, serving, train


def comparisons(seed: int, quick: bool) -> Sequence[Comparison]:
    training, test = data(seed, 4_000), data(seed + 1, 2_000)
    steps = 40 if quick else 400
    teacher, student = network(1024, 3), network(128, 2)
    train(teacher, training, steps)
    _teach(teacher, student, training, steps)

    def again() -> None:
        """Both trainings once more, to be measured: the models in use stay as they are."""
        other = network(1024, 3)
        train(other, training, steps)
        _teach(other, network(128, 2), training, steps)

    return [
        Comparison(
            title="a student of 25 thousand weights for its teacher of 2.2 million",
            parameters={"teacher": "3 x 1024", "student": "2 x 128"},
            baseline=serving(teacher, test),
            treatment=serving(student, test),
            before={"model": "teacher"},
            after={"model": "student"},
            units=["request"],
            quality_metric="accuracy",
            cells=cells(answers(teacher, test), answers(student, test), test),
            prepare=again,
        )
    ]


def _teach(teacher: Any, student: Any, training: Data, steps: int) -> None:
    with torch.inference_mode():
        soft = torch.softmax(teacher(training.x) / 2.0, dim=1)
    train(student, training, steps, soft=soft.clone())
