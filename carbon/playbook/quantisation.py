"""2: int8 and bf16 against fp32, at batch 1 and 64. What saves at one batch may cost at another."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from carbon.playbook.comparison import Comparison
from carbon.playbook.networks import answers, cells, data, network, quantised, serving, train


def comparisons(seed: int, quick: bool) -> Sequence[Comparison]:
    training, test = data(seed, 4_000), data(seed + 1, 2_000)
    plain = network(768, 3)
    train(plain, training, 30 if quick else 250)
    int8, bf16 = quantised(plain), copy.deepcopy(plain).to(torch.bfloat16)
    made = [(int8, "int8", torch.float32), (bf16, "bf16", torch.bfloat16)]
    batches = (64,) if quick else (1, 64)
    return [
        Comparison(
            title=f"{name} for fp32, batch {batch}",
            parameters={"from_precision": "fp32", "to_precision": name, "batch_size": batch},
            baseline=serving(plain, test, batch),
            treatment=serving(model, test, batch, dtype),
            before={"precision": "fp32", "batch": batch},
            after={"precision": name, "batch": batch},
            units=["request"],
            quality_metric="accuracy",
            cells=cells(answers(plain, test), answers(model, test, dtype), test),
        )
        for model, name, dtype in made
        for batch in batches
    ]
