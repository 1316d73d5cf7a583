"""Moments at which what a workload's figures rest on changed: factors, and its boundary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from sqlalchemy import Connection

from carbon.domain.factor_book import FactorBook
from carbon.storage.boundaries import boundary_versions
from carbon.wire.answer import FactorUsed


class Changed(Struct, frozen=True):
    at_ms: int
    #: `factor` or `boundary`.
    kind: str
    #: The factor's id, or the boundary's version.
    about: str
    #: Of a factor: what it says, with its unit; else empty.
    value: str


def changes_between(
    connection: Connection,
    workload_id: int,
    book: FactorBook,
    used: Iterable[FactorUsed],
    start_ms: int,
    end_ms: int,
) -> list[Changed]:
    """Within (start, end), in order of time. Of factors those that the figures used."""
    found = [*_of_factors(book, used), *_of_boundary(connection, workload_id)]
    inside = [change for change in found if start_ms < change.at_ms < end_ms]
    return sorted(inside, key=lambda change: (change.at_ms, change.kind, change.about))


def _of_factors(book: FactorBook, used: Iterable[FactorUsed]) -> Iterator[Changed]:
    recorded = {factor.id: factor for factor in book.recorded}
    for id_ in sorted({one.id for one in used} & recorded.keys()):
        factor = recorded[id_]
        if factor.valid_from_ms is not None:
            yield Changed(factor.valid_from_ms, "factor", id_, f"{factor.value:g} {factor.unit}")


def _of_boundary(connection: Connection, workload_id: int) -> Iterator[Changed]:
    """The first version changes nothing: it was stated."""
    for version, recorded_ms in boundary_versions(connection, workload_id):
        if version > 1:
            yield Changed(recorded_ms, "boundary", str(version), "")
