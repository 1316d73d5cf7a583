"""What a job's attempts say that they made, as unit counts of its workload."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from carbon.domain.civil import civil_days
from carbon.domain.energy import MeterKind, cut
from carbon.executors.executor import Look
from carbon.services.context import Context
from carbon.services.rollup.settling import mark_unsettled
from carbon.storage.attempts import AttemptRow
from carbon.storage.corrections import counted_as
from carbon.storage.identities import Identities
from carbon.storage.job_queries import JobRow
from carbon.storage.unit_counts import choose_source, write_counts

#: Attempts are sources of one family, which count together: two may end within the same minutes.
_FAMILY = "carbon jobs"


def count_attempt(
    context: Context, connection: Connection, attempt: AttemptRow, job: JobRow, look: Look
) -> None:
    """Notes the counts of an attempt that has ended, over its own time. Again is the same."""
    start_ms = look.start_ms or attempt.start_ms
    if not look.units or start_ms is None:
        return
    now_ms = context.clock.now_ms()
    end_ms = max(look.end_ms or now_ms, start_ms + 1)
    ids = Identities(connection, now_ms, {})
    source_id = ids.source(0, f"job/{attempt.id}", MeterKind.TRACKER, _FAMILY)
    for unit, count in look.units.items():
        unit_id = ids.unit(job.workload_id, unit)
        choose_source(connection, unit_id, source_id)
        rows = [
            (hi, unit_id, source_id, hi - lo, part) for lo, hi, part in cut(start_ms, end_ms, count)
        ]
        write_counts(connection, [rows], now_ms)
    timezone = ZoneInfo(context.settings.timezone)
    for workload_id in counted_as(connection, job.workload_id):
        days = [(workload_id, *day) for day in civil_days(start_ms, end_ms, timezone)]
        mark_unsettled(connection, days, timezone)
