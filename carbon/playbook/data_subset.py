"""6: training on a quarter of the data, drawn evenly from each group and answer. Choosing is part
of the work; whether a group pays for it is looked at by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.networks import Data, accuracy, answers, cells, data, network, train

_SHARE: Final = 0.25
_EPOCHS: Final = 4


def comparisons(seed: int, quick: bool) -> Sequence[Comparison]:
    training, test = data(seed, 2_000 if quick else 12_000), data(seed + 1, 3_000)
    whole, part = _trained(training), _trained(_chosen(training))
    return [
        Comparison(
            title="a quarter of the data, drawn evenly by group and answer",
            parameters={"share": _SHARE, "selection": "even by group and answer"},
            baseline=_training(training, test, choose=False),
            treatment=_training(training, test, choose=True),
            before={"share": 1},
            after={"share": _SHARE},
            units=["training"],
            quality_metric="accuracy",
            cells=cells(answers(whole, test), answers(part, test), test),
            is_whole=True,
        )
    ]


def _training(training: Data, test: Data, choose: bool) -> Work:
    def work(rounds: int) -> Done:
        model = _trained(_chosen(training) if choose else training)
        return Done({"training": 1}, accuracy(model, test))

    return work


def _trained(on: Data) -> Any:
    model = network(384, 3)
    train(model, on, len(on) * _EPOCHS // 128)
    return model


def _chosen(training: Data) -> Data:
    rng = np.random.default_rng(0)
    truth = training.y.numpy()
    share = int(len(training) * _SHARE) // 4
    rows = []
    for group in (0, 1):
        for answer in (0, 1):
            known = np.flatnonzero((training.groups == group) & (truth == answer))
            rows.append(rng.permutation(known)[:share])
    return training.part(np.concatenate(rows))
