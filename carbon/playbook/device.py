"""Where models are trained and asked: a GPU where PyTorch sees one, else the processor."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from carbon.errors import InvalidInput

VARIABLE: Final = "CARBON_PLAYBOOK_DEVICE"


@dataclass(frozen=True)
class Device:
    """As PyTorch names it. `synchronise` returns once all that was asked of it has been done: a
    GPU works on after the call that gave it work, and would draw for the next block."""

    name: str
    synchronise: Callable[[], None]
    #: A block takes at least this long: of the processor's time, or on a GPU, whose counter moves
    #: some ten times a second, by the clock.
    block_s: float
    #: Layers are so many times as wide: small ones keep a GPU waiting for its next call.
    widening: int = 1

    @property
    def is_gpu(self) -> bool:
        return self.name != CPU.name


def _nothing() -> None:
    pass


CPU: Final = Device("cpu", _nothing, block_s=1.0)


def device_of(asked: str | None = None, torch: Any = None) -> Device:
    """`asked` (cpu or cuda), else CARBON_PLAYBOOK_DEVICE, else what is at hand.

    Raises InvalidInput(`unknown_device`), and `no_gpu` where one is asked for and not seen.
    """
    name = asked or os.environ.get(VARIABLE) or ""
    if name not in ("", "cpu", "cuda"):
        raise InvalidInput("unknown_device", f"no device {name!r}: cpu or cuda")
    if name == "cpu":
        return CPU
    if torch is None and find_spec("torch") is not None:
        torch = import_module("torch")
    if torch is not None and torch.cuda.is_available():
        return Device("cuda", torch.cuda.synchronize, block_s=3.0, widening=4)
    if name:
        raise InvalidInput(
            "no_gpu", "PyTorch sees no GPU here: its CUDA build and a driver are needed; or cpu"
        )
    return CPU
