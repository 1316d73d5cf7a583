"""Notices of restatements: whom each is for, and whether it has reached them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Column, Connection, ForeignKey, Index, Integer, Table, Text, select, update

from carbon.storage.schema import Id, Ms, metadata


class Channel(StrEnum):
    WEBHOOK = "webhook"
    MAIL = "mail"


class NoticeState(StrEnum):
    DUE = "due"
    SENT = "sent"
    #: It was tried often enough.
    FAILED = "failed"
    #: There is no way to reach that target from here; it is recorded, and the report shows it.
    NOT_SENT = "not_sent"


report_notice = Table(
    "report_notice",
    metadata,
    Column("id", Id, primary_key=True),
    #: The team of the report.
    Column("team_id", ForeignKey("team.id"), nullable=False),
    #: The restatement; what it restates says so itself.
    Column("report_id", ForeignKey("report.id"), nullable=False),
    Column("channel", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_ms", Ms, nullable=False),
    #: When it took the state that it has.
    Column("changed_ms", Ms, nullable=False),
    #: What the target or the way to it said last.
    Column("detail", Text, nullable=False, server_default=""),
    Index(None, "state", "next_ms"),
    Index(None, "report_id"),
)


@dataclass(frozen=True, slots=True)
class StoredNotice:
    id: int
    report_id: str
    channel: Channel
    target: str
    state: NoticeState
    attempts: int
    changed_ms: int
    detail: str


def insert_notices(
    connection: Connection,
    team_id: int,
    report_id: str,
    targets: Sequence[tuple[Channel, str]],
    now_ms: int,
) -> None:
    rows = [
        {
            "team_id": team_id,
            "report_id": report_id,
            "channel": str(channel),
            "target": target,
            "state": str(NoticeState.DUE),
            "next_ms": now_ms,
            "changed_ms": now_ms,
        }
        for channel, target in targets
    ]
    if rows:
        connection.execute(report_notice.insert(), rows)


def notices_of(connection: Connection, report_id: str) -> list[StoredNotice]:
    query = select(report_notice).where(report_notice.c.report_id == report_id)
    rows = connection.execute(query.order_by(report_notice.c.id)).mappings()
    return [
        StoredNotice(
            row["id"],
            row["report_id"],
            Channel(row["channel"]),
            row["target"],
            NoticeState(row["state"]),
            row["attempts"],
            row["changed_ms"],
            row["detail"],
        )
        for row in rows
    ]


def due_notices(connection: Connection, now_ms: int) -> list[tuple[str, int]]:
    """(report, notice) that are to be sent now, the longest due first."""
    n = report_notice.c
    query = select(n.report_id, n.id).where(n.state == NoticeState.DUE, n.next_ms <= now_ms)
    return [(row[0], row[1]) for row in connection.execute(query.order_by(n.next_ms, n.id))]


def settle_notice(
    connection: Connection,
    notice: StoredNotice,
    state: NoticeState,
    detail: str,
    now_ms: int,
    next_ms: int,
) -> None:
    """What became of one more attempt."""
    connection.execute(
        update(report_notice)
        .where(report_notice.c.id == notice.id)
        .values(
            state=str(state),
            attempts=notice.attempts + 1,
            next_ms=next_ms,
            changed_ms=now_ms,
            detail=detail,
        )
    )
