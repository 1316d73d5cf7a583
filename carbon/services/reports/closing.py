"""Whether a window may still be reported, or was closed and signed."""

from __future__ import annotations

from sqlalchemy import Connection

from carbon.errors import Conflicting
from carbon.storage.closed_periods import periods_of


def check_open(connection: Connection, team: str, start_ms: int, end_ms: int) -> None:
    """Raises Conflicting(`period_closed`) where a closed period of the team overlaps."""
    for period in periods_of(connection, team):
        if period.start_ms < end_ms and start_ms < period.end_ms:
            raise Conflicting(
                "period_closed", f"{period.id} is closed and signed; restate its reports instead"
            )


def check_reportable(connection: Connection, team: str, start_ms: int, end_ms: int) -> None:
    """Raises Conflicting(`period_closed`) where a window lies in a closed period of the team; one
    that reaches beyond it, such as a year over its months, is another report."""
    for period in periods_of(connection, team):
        if period.start_ms <= start_ms and end_ms <= period.end_ms:
            raise Conflicting(
                "period_closed", f"{period.id} is closed and signed; restate its reports instead"
            )
