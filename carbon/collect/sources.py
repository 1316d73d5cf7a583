"""The meters of this machine, in order of trust."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from carbon.collect.modelled import ModelledSource
from carbon.collect.nvml import NvmlSource
from carbon.collect.rapl import RaplSource
from carbon.collect.source import Source
from carbon.collect.watched import Watched
from carbon.errors import Unavailable

log = logging.getLogger(__name__)

#: One look a second is enough for these (`Sampler.slow`).
SLOW: Final = frozenset({RaplSource.name, ModelledSource.name})


def machine_sources(cache_dir: Path) -> list[Source]:
    """Sensors first; the model reads only the kinds of device that no sensor does. A family that
    this machine does not have is left out, with one line that says why."""
    families: list[Callable[[], Source]] = [
        lambda: Watched(NvmlSource()),
        RaplSource,
        lambda: ModelledSource(cache_dir),
    ]
    sources = []
    for family in families:
        try:
            sources.append(family())
        except Unavailable as error:
            log.info("%s: %s", error.code, error.detail)
    return sources
