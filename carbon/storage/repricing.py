"""What has to be priced anew."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text

from carbon.storage.schema import Ms, metadata

#: Time over which prices changed; taken from its start on.
dirty_price = Table(
    "dirty_price",
    metadata,
    #: '' stands for every zone, as where a host moved.
    Column("zone", Text, primary_key=True),
    Column("start_ms", Ms, primary_key=True),
    Column("end_ms", Ms, nullable=False),
    Index(None, "start_ms"),
    sqlite_with_rowid=False,
)
