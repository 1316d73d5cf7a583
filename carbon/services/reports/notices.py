"""Notices: a restatement above a report's materiality is told to those whom the report names."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import Final

import msgspec

from carbon.errors import CarbonError
from carbon.services.context import Context
from carbon.services.reports.notice_channels import NotTaken, Told, Unreachable, call, mail
from carbon.storage.engine import reading, writing
from carbon.storage.leases import NOTICES, take
from carbon.storage.notices import (
    Channel,
    NoticeState,
    StoredNotice,
    due_notices,
    notices_of,
    settle_notice,
)
from carbon.storage.reports import StoredReport, find_report
from carbon.wire.reports import Restatement

log = logging.getLogger("carbon.notices")

_LOOK_EVERY_S: Final = 5.0
_LEASE_MS: Final = 60_000
#: After silence it is tried again so much later, each time twice as long: for about two days.
_FIRST_WAIT_MS: Final = 30_000
_LONGEST_WAIT_MS: Final = 6 * 3_600_000
_MOST_ATTEMPTS: Final = 18


def send_due_notices(context: Context) -> int:
    """Tries every notice that is due, once; answers how many were sent."""
    with reading(context.engine) as connection:
        due = due_notices(connection, context.clock.now_ms())
    return sum(_try(context, report_id, notice_id) for report_id, notice_id in due)


def _try(context: Context, report_id: str, notice_id: int) -> bool:
    with reading(context.engine) as connection:
        report = find_report(connection, report_id)
        found = [one for one in notices_of(connection, report_id) if one.id == notice_id]
    if report is None or not found or found[0].state is not NoticeState.DUE:
        return False  # erased, or sent by another process meanwhile
    [notice] = found
    state, detail, wait_ms = _sent(context, report, notice)
    now_ms = context.clock.now_ms()
    with writing(context.engine) as connection:
        settle_notice(connection, notice, state, detail, now_ms, now_ms + wait_ms)
    return state is NoticeState.SENT


def _sent(
    context: Context, report: StoredReport, notice: StoredNotice
) -> tuple[NoticeState, str, int]:
    """(state, what was said, when to try again)."""
    told = _told(report, notice)
    try:
        if notice.channel is Channel.WEBHOOK:
            return NoticeState.SENT, call(context.settings, report.team, notice.target, told), 0
        return NoticeState.SENT, mail(context.settings, notice.target, told), 0
    except Unreachable as error:
        return NoticeState.NOT_SENT, str(error), 0
    except (NotTaken, CarbonError) as error:
        state = NoticeState.FAILED if notice.attempts + 1 >= _MOST_ATTEMPTS else NoticeState.DUE
        wait_ms = min(_FIRST_WAIT_MS << notice.attempts, _LONGEST_WAIT_MS)
        log.warning("notice of %s to %s: %s", report.id, notice.target, error)
        return state, str(error), wait_ms


def _told(report: StoredReport, notice: StoredNotice) -> Told:
    why = msgspec.json.decode(report.restatement or "null", type=Restatement | None)
    return Told(
        event="report.restated",
        notice=f"{report.id}-{notice.id}",
        report=report.restates or "",
        superseded_by=report.id,
        team=report.team,
        title=report.title,
        reason=why.reason if why else "",
        change=why.change if why else None,
    )


class Notifying:
    """A thread that sends what is due; of the processes that share a database, one does."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=1.0)

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                if self._any_due() and self._leads():
                    send_due_notices(self._context)
            except Exception as error:
                log.warning("notices postponed: %s", error)

    def _any_due(self) -> bool:
        with reading(self._context.engine) as connection:
            return bool(due_notices(connection, self._context.clock.now_ms()))

    def _leads(self) -> bool:
        now_ms = self._context.clock.now_ms()
        with writing(self._context.engine) as connection:
            return take(connection, NOTICES, self._holder, now_ms, _LEASE_MS) is not None
