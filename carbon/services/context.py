"""What every use case needs; built once by `app`, or by a test."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine

from carbon.clock import Clock
from carbon.domain.units import MS_PER_DAY, floor_to
from carbon.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    engine: Engine
    settings: Settings
    clock: Clock

    @property
    def hot_from_ms(self) -> int:
        """The UTC day from which on raw readings are expected in the database itself."""
        return floor_to(self.clock.now_ms(), MS_PER_DAY) - self.settings.hot_days * MS_PER_DAY
