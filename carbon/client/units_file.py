"""The file to which a command appends what it made, while it runs under `carbon run`."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from carbon.domain.unit_lines import sum_unit_lines

log = logging.getLogger(__name__)


@contextmanager
def units_file() -> Iterator[Path]:
    """An empty file that this user alone may read; gone afterwards."""
    descriptor, name = tempfile.mkstemp(prefix="carbon-units-", suffix=".txt")
    os.close(descriptor)
    path = Path(name)
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink()


def counts_in(path: Path) -> dict[str, int]:
    """What was appended. Lines that cannot be meant are told and left out: a job that did its
    work does not fail by them."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            counts, bad = sum_unit_lines(lines)
    except OSError as error:
        log.warning("the file of units cannot be read: %s", error)
        return {}
    if bad:
        log.warning(
            "of the file of units line %d is no `unit count` (%d such lines)", bad[0], len(bad)
        )
    return counts
