"""SCI of the workloads that drew the most of late, one line per functional unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import UNSET, Struct

from carbon.domain.energy import Method
from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_DAY
from carbon.services.context import Context
from carbon.services.sci.counting import RUN
from carbon.services.sci.question import Question
from carbon.services.sci.sci import workload_sci
from carbon.storage.engine import reading
from carbon.storage.recent import busiest_workloads
from carbon.storage.unit_counts import units_of
from carbon.wire.answer import SciAnswer

WINDOW_MS: Final = 7 * MS_PER_DAY
_MOST_WORKLOADS: Final = 12


class WorkloadScore(Struct, frozen=True):
    workload: str
    unit: str
    count: int | float
    #: Null without a count; `reason` says why.
    sci_g_per_unit: float | None
    low: float | None
    high: float | None
    reason: str | None
    total_g: float
    embodied_g: float
    coverage: float | None
    measured_share: float | None
    flags: list[str]


class Scores(Struct, frozen=True):
    start_ms: int
    end_ms: int
    workloads: list[WorkloadScore]


def scores(context: Context, principal: Principal, names: Mapping[int, str]) -> Scores:
    """Of the last 7 days, the workload with the most energy first."""
    end_ms = context.clock.now_ms()
    start_ms = end_ms - WINDOW_MS
    with reading(context.engine) as connection:
        busiest = busiest_workloads(connection, list(names), start_ms, end_ms, _MOST_WORKLOADS)
        units = {workload_id: list(units_of(connection, workload_id)) for workload_id in busiest}
    questions = [
        Question(names[workload_id], start_ms, end_ms, unit)
        for workload_id in busiest
        for unit in units[workload_id] or [RUN]
    ]
    answers = [workload_sci(context, principal, question) for question in questions]
    return Scores(start_ms, end_ms, [_line(answer) for answer in answers])


def _line(answer: SciAnswer) -> WorkloadScore:
    measured = [share for label, share in answer.methods.items() if Method.of(label).is_measured]
    return WorkloadScore(
        workload=answer.workload,
        unit=answer.unit,
        count=answer.count,
        sci_g_per_unit=answer.sci_g_per_unit,
        low=answer.low,
        high=answer.high,
        reason=None if answer.reason is UNSET else answer.reason,
        total_g=answer.total_g,
        embodied_g=answer.embodied_g,
        coverage=answer.coverage,
        measured_share=sum(measured) if answer.methods else None,
        flags=list(answer.flags),
    )
