"""6: training on a quarter of the data, drawn evenly from each group and answer. Choosing is part
of the work; whether a group pays for it is looked at by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.device import Device
from carbon.playbook.networks import Data, accuracy, answers, cells, data, network, train

_SHARE: Final = 0.25
_EPOCHS: Final = 4


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    training, test = data(seed, 2_000 if quick else 12_000, device), data(seed + 1, 3_000, device)
    whole, part = _trained(training, device), _trained(_chosen(training), device)
    return [
        Comparison(
            title="a quarter of the data, drawn evenly by group and answer",
            parameters={"share": _SHARE, "selection": "even by group and answer"},
            baseline=_training(training, test, device, choose=False),
            treatment=_training(training, test, device, choose=True),
            before={"share": 1},
            after={"share": _SHARE},
            units=["training"],
            quality_metric="accuracy",
            cells=cells(answers(whole, test), answers(part, test), test),
            is_whole=True,
            device=device,
        )
    ]


def _training(training: Data, test: Data, device: Device, choose: bool) -> Work:
    def work(rounds: int) -> Done:
        model = _trained(_chosen(training) if choose else training, device)
        return Done({"training": 1}, accuracy(model, test))

    return work


def _trained(on: Data, device: Device) -> Any:
    model = network(384 * device.widening, 3, device=device)
    train(model, on, len(on) * _EPOCHS // 128)
    return model


def _chosen(training: Data) -> Data:
    rng = np.random.default_rng(0)
    truth = training.y.cpu().numpy()
    share = int(len(training) * _SHARE) // 4
    rows = []
    for group in (0, 1):
        for answer in (0, 1):
            known = np.flatnonzero((training.groups == group) & (truth == answer))
            rows.append(rng.permutation(known)[:share])
    return training.part(np.concatenate(rows))
