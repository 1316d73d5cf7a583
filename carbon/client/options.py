"""What the environment says of measuring here: data folder, server, key, zone."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from carbon.collect.host_agent import AgentOptions
from carbon.grid.host_zone import ZoneOrigin, host_zone
from carbon.settings import Settings


def local_options(
    data_dir: Path | None = None,
    url: str | None = None,
    key: str | None = None,
    zone: str | None = None,
) -> AgentOptions:
    """What is given, else CARBON_* variables, else the defaults.

    The zone may be guessed from the time zone; a cloud is not asked from inside a program
    that is not ours.
    """
    settings = _settings(frozenset(os.environ.items()))
    placed = host_zone(zone or settings.zone, cloud=lambda: None)
    return AgentOptions(
        data_dir=data_dir or settings.data_dir,
        period_s=settings.agent_period_s,
        rate_hz=settings.agent_rate_hz,
        zone=None if placed.origin is ZoneOrigin.NOWHERE else placed.zone,
        zone_is_guess=placed.origin is ZoneOrigin.TIMEZONE,
        url=url or os.environ.get("CARBON_URL"),
        key=key or os.environ.get("CARBON_KEY"),
    )


@lru_cache(maxsize=1)
def _settings(environment: frozenset[tuple[str, str]]) -> Settings:
    """Read anew only where the environment has changed: to read and check it takes 4 ms, and that
    would be most of what entering a block costs the program."""
    return Settings()
