"""What each report was summed from, as it stood when the report was issued: never changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from sqlalchemy import Column, Connection, ForeignKey, LargeBinary, Table, Text, select

from carbon.storage.schema import metadata

report_table = Table(
    "report_table",
    metadata,
    Column("report_id", Text, ForeignKey("report.id"), primary_key=True),
    Column("team_id", ForeignKey("team.id"), nullable=False, index=True),
    #: CSV of quarter-hours, compressed (zlib).
    Column("content", LargeBinary, nullable=False),
)

#: Quick, and within a fifth of the smallest.
_LEVEL = 3


def insert_report_table(
    connection: Connection, team_id: int, report_id: str, content: bytes
) -> None:
    row = {"report_id": report_id, "team_id": team_id, "content": zlib.compress(content, _LEVEL)}
    connection.execute(report_table.insert().values(row))


def find_report_table(connection: Connection, report_id: str) -> bytes | None:
    """None of what was issued before tables were kept."""
    query = select(report_table.c.content).where(report_table.c.report_id == report_id)
    content = connection.scalar(query)
    return None if content is None else zlib.decompress(content)


def all_report_tables(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """(report, table) one by one; what can no longer be read is left out."""
    for id_ in connection.scalars(select(report_table.c.report_id)).all():
        try:
            content = find_report_table(connection, id_)
        except zlib.error:
            continue
        if content is not None:
            yield id_, content
