"""2: int8 and halves for fp32, at batch 1 and 64. What saves at one batch may cost at another."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Final

import torch

from carbon.playbook.comparison import Comparison, NotRun
from carbon.playbook.device import Device
from carbon.playbook.networks import Data, answers, cells, data, quantised, serving, trained

_NO_INT8: Final = "PyTorch 2.13 has no int8 linear layers for GPUs of its own (torchao has)"
_HALVES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison | NotRun]:
    test = data(seed + 1, 2_000, device)
    plain = trained(768 * device.widening, 3, seed, 30 if quick else 100, device)
    made: list[tuple[str, Any, Any]] = []
    if not device.is_gpu:
        made.append(("int8", quantised(plain), torch.float32))
    for name in ("bf16", "fp16") if device.is_gpu else ("bf16",):
        made.append((name, copy.deepcopy(plain).to(_HALVES[name]), _HALVES[name]))
    batches = (64,) if quick else (1, 64)
    found = [
        _comparison(plain, model, name, dtype, batch, test, device)
        for name, model, dtype in made
        for batch in batches
    ]
    return [*found, *_not_run(device, batches)]


def _not_run(device: Device, batches: Sequence[int]) -> Iterator[NotRun]:
    if device.is_gpu:
        for batch in batches:
            yield NotRun(f"int8 for fp32, batch {batch}", _NO_INT8)


def _comparison(
    plain: Any, model: Any, name: str, dtype: Any, batch: int, test: Data, device: Device
) -> Comparison:
    return Comparison(
        title=f"{name} for fp32, batch {batch}",
        parameters={"from_precision": "fp32", "to_precision": name, "batch_size": batch},
        baseline=serving(plain, test, batch),
        treatment=serving(model, test, batch, dtype),
        before={"precision": "fp32", "batch": batch},
        after={"precision": name, "batch": batch},
        units=["request"],
        quality_metric="accuracy",
        cells=cells(answers(plain, test), answers(model, test, dtype), test),
        device=device,
    )
