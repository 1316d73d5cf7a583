"""What every use case needs; built once by `app`, or by a test."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from carbon.clock import Clock
from carbon.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    engine: Engine
    settings: Settings
    clock: Clock
