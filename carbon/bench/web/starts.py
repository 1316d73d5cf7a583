"""How long a start takes until the first page can be had."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from carbon.bench.figure import Figure, Options, at_most, reported
from carbon.bench.serving import service


def starts(options: Options) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        first_s = _start_s(Path(folder), options)
        second_s = _start_s(Path(folder), options)
    return [
        reported("first start until ready, database made", first_s, "s"),
        at_most("second start until ready", second_s, "s", 5.0),
    ]


def _start_s(folder: Path, options: Options) -> float:
    started = time.perf_counter()
    with service(options.db_url, agent=True, data_dir=folder):
        return time.perf_counter() - started
