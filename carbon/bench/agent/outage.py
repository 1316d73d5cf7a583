"""An outage: agent and server killed at random; what the server ends up with against the truth."""

from __future__ import annotations

from pathlib import Path

from carbon.bench.figure import Figure, Options


def outage(folder: Path, options: Options) -> list[Figure]:
    return []
