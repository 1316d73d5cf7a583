"""Carbon and energy accounting for computing.

The names here are what other people's programs import. They load on first use, so that
``import carbon`` costs a program nothing it does not ask for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carbon.client import Client, deferrable, track, units

__all__ = ["Client", "deferrable", "track", "units"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("carbon.client"), name)
    raise AttributeError(f"module 'carbon' has no attribute {name!r}")
