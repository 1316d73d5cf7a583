"""The meters of this machine, in order of trust."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from carbon.collect.container import own_container
from carbon.collect.container_share import ContainerShare
from carbon.collect.modelled import ModelledSource
from carbon.collect.nvml import NvmlSource
from carbon.collect.rapl import RaplSource
from carbon.collect.source import Source
from carbon.collect.watched import Watched
from carbon.errors import Unavailable

log = logging.getLogger(__name__)


def machine_sources(cache_dir: Path, rate_hz: float = 10.0) -> list[Source]:
    """Sensors first; the model reads only the kinds of device that no sensor does. A family that
    this machine does not have is left out, with one line that says why. `rate_hz` is of the
    looks at GPUs: counters without power beside them, and models that are linear in time, need
    no more than the agent's own pace."""
    container = own_container()

    def ours(source: Source) -> Source:
        return source if container is None else ContainerShare(source, container)

    families: list[Callable[[], Source]] = [
        lambda: Watched(NvmlSource(), rate_hz),
        lambda: ours(RaplSource()),
        lambda: ours(ModelledSource(cache_dir)),
    ]
    sources = []
    for family in families:
        try:
            sources.append(family())
        except Unavailable as error:
            log.info("%s: %s", error.code, error.detail)
    return sources
