"""Numbers in full where a device has units for halves."""

from __future__ import annotations

import re
from typing import Final

_FULL: Final = frozenset({"fp32", "float32", "f32"})
#: NVIDIA's models since Volta that have tensor cores, by name as the driver tells it.
_TENSOR_CORES: Final = re.compile(
    r"(?<![A-Z0-9])(V100|T4|A(2|10G?|16|30|40|100|800)|[HB](100|200|300|800)|G[HB](200|300)"
    r"|L(4|20|40S?)|RTX|TITAN (V|RTX))(?![0-9])"
)


def is_full(precision: str) -> bool:
    return precision.lower() in _FULL


def has_tensor_cores(model: str) -> bool:
    return _TENSOR_CORES.search(model) is not None
