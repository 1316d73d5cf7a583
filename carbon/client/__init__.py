"""What other people's programs import: `carbon.track`, `carbon.units`, `carbon.Client`.

Everything loads on first use; nothing here costs a program that does not ask for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carbon.client.codecarbon import CodeCarbonOutput
    from carbon.client.http import Client
    from carbon.client.run import RunRecord, run_command
    from carbon.client.tracking import Tracker, track
    from carbon.client.unit_counts import units
    from carbon.client.waiting import deferrable

_MODULES = {
    "Client": "http",
    "CodeCarbonOutput": "codecarbon",
    "RunRecord": "run",
    "Tracker": "tracking",
    "deferrable": "waiting",
    "run_command": "run",
    "track": "tracking",
    "units": "unit_counts",
}

__all__ = [
    "Client",
    "CodeCarbonOutput",
    "RunRecord",
    "Tracker",
    "deferrable",
    "run_command",
    "track",
    "units",
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(import_module(f"carbon.client.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'carbon.client' has no attribute {name!r}")
