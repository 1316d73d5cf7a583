"""5: training to the same loss in fp32 and in less. The unit is a training that got there; on a
processor without bf16 units it costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import torch

from carbon.errors import CarbonError
from carbon.playbook.comparison import Comparison, Done, Work
from carbon.playbook.device import Device
from carbon.playbook.networks import Data, accuracy, data, network, train

_TARGET_LOSS: Final = 0.42
_MOST_STEPS: Final = 3_000
_CAST: Final[dict[str, Any]] = {
    "fp32": None,
    "tf32": None,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    training, test = data(seed, 4_000, device), data(seed + 1, 2_000, device)
    target = 0.6 if quick else _TARGET_LOSS

    def reaching(precision: str) -> Work:
        return _training(training, test, target, precision, device)

    return [
        Comparison(
            title=f"training to a loss of {target:g} in {precision} for fp32",
            parameters={"precision": precision, "target_loss": target},
            baseline=reaching("fp32"),
            treatment=reaching(precision),
            before={"precision": "fp32"},
            after={"precision": precision},
            units=["training"],
            quality_metric="accuracy",
            is_whole=True,
            device=device,
        )
        for precision in (("tf32", "bf16", "fp16") if device.is_gpu else ("bf16",))
    ]


def _training(training: Data, test: Data, target: float, precision: str, device: Device) -> Work:
    def work(rounds: int) -> Done:
        model = network(192 * device.widening, 3, device=device)
        with _products_in(precision):
            steps = train(model, training, _MOST_STEPS, until_loss=target, dtype=_CAST[precision])
        if steps == _MOST_STEPS:
            raise CarbonError("no_target", f"the loss of {target:g} was not reached")
        return Done({"training": 1}, accuracy(model, test))

    return work


@contextmanager
def _products_in(precision: str) -> Iterator[None]:
    """fp32 is what it says: without the 19 bits that PyTorch may be told to multiply with."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
