"""Small classifiers on data that is made: groups of different size, one of them harder."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import torch

from carbon.evaluation.answers import Cell, tally
from carbon.playbook.comparison import Done, Work
from carbon.playbook.device import CPU, Device

FEATURES: Final = 64
_GROUPS: Final = ("common", "rare")
_RARE_SHARE: Final = 0.15

#: Blocks are compared on one thread: how many there are is another technique.
torch.set_num_threads(1)


@dataclass(frozen=True)
class Data:
    x: Any
    y: Any
    groups: Any

    def part(self, rows: Any) -> Data:
        return Data(self.x[rows], self.y[rows], self.groups[rows])

    def __len__(self) -> int:
        return len(self.y)


def data(seed: int, rows: int, device: Device = CPU) -> Data:
    """A yes-or-no question; the rare group answers by another rule of the same features."""
    rng = np.random.default_rng(seed)
    rules = np.random.default_rng(7).normal(size=(2, FEATURES, 12))
    x = rng.normal(size=(rows, FEATURES))
    group = (rng.random(rows) < _RARE_SHARE).astype(int)
    hidden = np.maximum(np.einsum("rf,rfh->rh", x, rules[group]), 0)
    score = hidden @ np.linspace(-1, 1, 12)
    y = (score + rng.normal(0, 0.5, rows) > 0).astype(np.int64)
    x[:, 0] = 2.0 * group  # which group it is can be seen
    features = torch.tensor(x, dtype=torch.float32, device=device.name)
    return Data(features, torch.tensor(y, device=device.name), group)


def network(width: int, depth: int = 2, seed: int = 0, device: Device = CPU) -> Any:
    """Drawn on the processor, so that the same seed makes the same everywhere."""
    torch.manual_seed(seed)
    layers: list[Any] = []
    size = FEATURES
    for _ in range(depth):
        layers += [torch.nn.Linear(size, width), torch.nn.ReLU()]
        size = width
    return torch.nn.Sequential(*layers, torch.nn.Linear(size, 2)).to(device.name)


@cache
def trained(width: int, depth: int, seed: int, steps: int, device: Device) -> Any:
    """One for all the techniques that begin with the same: nobody may change it."""
    model = network(width, depth, device=device)
    train(model, data(seed, 4_000, device), steps)
    return model


def train(
    model: Any,
    on: Data,
    steps: int,
    *,
    soft: Any = None,
    until_loss: float | None = None,
    dtype: Any = None,
    seed: int = 0,
) -> int:
    """Adam on batches of 128, on labels or on a teacher's `soft` answers; with `until_loss` it
    ends once the smoothed loss is there. `dtype` is that of autocast. Answers the steps it took."""
    draw = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    scaler = torch.amp.GradScaler(on.x.device.type, enabled=dtype is torch.float16)
    smoothed = None
    for step in range(steps):
        rows = torch.randint(0, len(on), (128,), generator=draw).to(on.x.device)
        optimiser.zero_grad()
        with _cast(on, dtype):
            logits = model(on.x[rows])
            target = on.y[rows] if soft is None else soft[rows]
            loss = torch.nn.functional.cross_entropy(logits.float(), target)
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        if until_loss is None:
            continue  # to read the loss would keep a GPU waiting
        value = float(loss.detach())
        smoothed = value if smoothed is None else 0.9 * smoothed + 0.1 * value
        if step > 10 and smoothed <= until_loss:
            return step + 1
    return steps


def _cast(on: Data, dtype: Any) -> AbstractContextManager[Any]:
    if dtype is None:
        return nullcontext()
    made: AbstractContextManager[Any] = torch.autocast(on.x.device.type, dtype=dtype)
    return made


def answers(model: Any, of: Data, dtype: Any = torch.float32) -> Any:
    with torch.inference_mode():
        return model(of.x.to(dtype)).float().argmax(1)


def accuracy(model: Any, of: Data, dtype: Any = torch.float32) -> float:
    return float((answers(model, of, dtype) == of.y).float().mean())


def serving(model: Any, test: Data, batch: int = 64, dtype: Any = torch.float32) -> Work:
    """Requests in batches, and how well they are answered."""
    quality = accuracy(model, test, dtype)
    inputs = test.x[:batch].to(dtype)

    def work(rounds: int) -> Done:
        with torch.inference_mode():
            for _ in range(rounds * 8):
                model(inputs)
        return Done({"request": rounds * 8 * batch}, quality)

    return work


def cells(baseline: Any, treatment: Any, of: Data) -> list[Cell]:
    """Of two models' answers on the same frozen examples."""
    told = zip(of.groups, of.y.tolist(), baseline.tolist(), treatment.tolist(), strict=True)
    return tally((_GROUPS[group], str(y), str(b), str(t)) for group, y, b, t in told)


def weights(model: Any) -> str:
    """How many there are, for people."""
    count = sum(one.numel() for one in model.parameters())
    return f"{count / 1e6:.1f} million" if count >= 1e6 else f"{count / 1e3:.0f} thousand"


def quantised(model: Any) -> Any:
    """Weights in int8, activations quantised as they come. On the processor alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
