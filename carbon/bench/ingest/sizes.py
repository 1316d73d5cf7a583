"""Bytes that a raw row takes in the database."""

from __future__ import annotations

from sqlalchemy import text

from carbon.storage.engine import create_engine, reading

_SQLITE = "SELECT SUM(pgsize) FROM dbstat WHERE name = 'energy_interval'"
_POSTGRESQL = (
    "SELECT SUM(pg_total_relation_size(inhrelid)) FROM pg_inherits"
    " WHERE inhparent = 'energy_interval'::regclass"
)


def bytes_per_row(url: str) -> float:
    """Of `energy_interval` with its key."""
    engine = create_engine(url)
    try:
        with reading(engine) as connection:
            rows = connection.scalar(text("SELECT COUNT(*) FROM energy_interval")) or 0
            size = _SQLITE if engine.dialect.name == "sqlite" else _POSTGRESQL
            taken = connection.scalar(text(size)) or 0
            return float(taken) / max(1, rows)
    finally:
        engine.dispose()
