"""4: a student taught by a large teacher. What teaching took must be paid back first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from carbon.playbook.comparison import Comparison
from carbon.playbook.device import Device
from carbon.playbook.networks import (
    Data,
    answers,
    cells,
    data,
    network,
    serving,
    train,
    trained,
    weights,
)

_STUDENT_WIDTH = 128


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    training, test = data(seed, 4_000, device), data(seed + 1, 2_000, device)
    taught, lessons = (40, 40) if quick else (120, 300)
    width = 1024 * device.widening
    teacher = trained(width, 3, seed, taught, device)
    student = network(_STUDENT_WIDTH, 2, device=device)
    _teach(teacher, student, training, lessons)

    def again() -> None:
        """Both trainings once more, to be measured: the models in use stay as they are."""
        other = network(width, 3, device=device)
        train(other, training, taught)
        _teach(other, network(_STUDENT_WIDTH, 2, device=device), training, lessons)

    return [
        Comparison(
            title=f"a student of {weights(student)} weights for its teacher of {weights(teacher)}",
            parameters={"teacher": f"3 x {width}", "student": f"2 x {_STUDENT_WIDTH}"},
            baseline=serving(teacher, test),
            treatment=serving(student, test),
            before={"model": "teacher"},
            after={"model": "student"},
            units=["request"],
            quality_metric="accuracy",
            cells=cells(answers(teacher, test), answers(student, test), test),
            prepare=again,
            device=device,
        )
    ]


def _teach(teacher: Any, student: Any, training: Data, steps: int) -> None:
    with torch.inference_mode():
        soft = torch.softmax(teacher(training.x) / 2.0, dim=1)
    train(student, training, steps, soft=soft.clone())
