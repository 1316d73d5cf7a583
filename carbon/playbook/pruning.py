"""3: half of the weights set to 0, which dense hardware multiplies all the same; and half of the
neurons taken out, which it does not."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn.utils import prune

from carbon.playbook.comparison import Comparison
from carbon.playbook.device import Device
from carbon.playbook.networks import answers, cells, data, serving, train, trained


def comparisons(seed: int, quick: bool, device: Device) -> Sequence[Comparison]:
    training, test = data(seed, 4_000, device), data(seed + 1, 2_000, device)
    plain = trained(768 * device.widening, 3, seed, 30 if quick else 100, device)
    steps = 10 if quick else 60
    made: list[tuple[str, Any, Callable[[], None] | None]] = [
        ("unstructured", _unstructured(plain), None),
        ("structured", _structured(plain), None),
    ]
    train(made[1][1], training, steps)
    return [
        Comparison(
            title=f"half of the network, {structure}",
            parameters={"structure": structure, "sparsity": 0.5},
            baseline=serving(plain, test),
            treatment=serving(model, test),
            before={"sparsity": 0},
            after={"sparsity": 0.5, "structure": structure},
            units=["request"],
            quality_metric="accuracy",
            cells=cells(answers(plain, test), answers(model, test), test),
            prepare=prepare,
            device=device,
        )
        for structure, model, prepare in made
    ]


def _unstructured(plain: Any) -> Any:
    """The half of smallest weights of each layer is 0; the shapes stay."""
    model = copy.deepcopy(plain)
    for layer in _linear(model):
        prune.l1_unstructured(layer, "weight", amount=0.5)
        prune.remove(layer, "weight")
    return model


def _structured(plain: Any) -> Any:
    """Of each hidden layer the half of neurons with the largest weights stays."""
    layers = _linear(plain)
    kept = [torch.arange(layers[0].in_features)]
    for layer in layers[:-1]:
        norms = layer.weight.detach().norm(dim=1)
        kept.append(torch.topk(norms, layer.out_features // 2).indices.sort().values)
    kept.append(torch.arange(layers[-1].out_features))
    parts: list[Any] = []
    for layer, ins, outs in zip(layers, kept, kept[1:], strict=False):
        smaller = torch.nn.Linear(len(ins), len(outs), device=layer.weight.device)
        smaller.weight.data = layer.weight.detach()[outs][:, ins].clone()
        smaller.bias.data = layer.bias.detach()[outs].clone()
        parts += [smaller, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def _linear(model: Any) -> list[Any]:
    return [layer for layer in model if isinstance(layer, torch.nn.Linear)]
