"""5: training to the same loss in fp32 and in bf16. The unit is a training that got there; on a
processor without bf16 units it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from carbon.errors import CarbonError
from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.networks import Data, accuracy, data, network, train

_TARGET_LOSS: Final = 0.42
_MOST_STEPS: Final = 3_000


def comparisons(seed: int, quick: bool) -> Sequence[Comparison]:
    training, test = data(seed, 4_000), data(seed + 1, 2_000)
    target = 0.6 if quick else _TARGET_LOSS
    return [
        Comparison(
            title=f"training to a loss of {target:g} in bf16 for fp32",
            parameters={"precision": "bf16", "target_loss": target},
            baseline=_training(training, test, target, bf16=False),
            treatment=_training(training, test, target, bf16=True),
            before={"precision": "fp32"},
            after={"precision": "bf16"},
            units=["training"],
            quality_metric="accuracy",
            is_whole=True,
        )
    ]


def _training(training: Data, test: Data, target: float, bf16: bool) -> Work:
    def work(rounds: int) -> Done:
        model = network(192, 3)
        steps = train(model, training, _MOST_STEPS, until_loss=target, bf16=bf16)
        if steps == _MOST_STEPS:
            raise CarbonError("no_target", f"the loss of {target:g} was not reached")
        return Done({"training": 1}, accuracy(model, test))

    return work
