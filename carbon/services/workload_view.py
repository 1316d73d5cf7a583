"""One workload over a time range: its SCI in every unit, its course, its runs; two compared."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from carbon.domain.principal import Principal
from carbon.services.changes import Changed, changes_between
from carbon.services.context import Context
from carbon.services.counting import DEVICE_HOUR, RUN
from carbon.services.question import Question, known_workload
from carbon.services.sci import workload_sci
from carbon.services.series import SeriesQuestion, sci_series
from carbon.services.series_points import Dimension
from carbon.services.time_range import TimeRange
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import workload_names
from carbon.storage.screens import RunLine, runs_of
from carbon.storage.unit_counts import units_of
from carbon.wire.answer import SciAnswer
from carbon.wire.series import SeriesPoint

_MOST_RUNS: Final = 50


class RunShown(Struct, frozen=True):
    id: str
    start_ms: int
    end_ms: int
    duration_s: float
    exit_code: int | None


class WorkloadView(Struct, frozen=True):
    workload: str
    start_ms: int
    end_ms: int
    timezone: str
    #: One per functional unit; runs or device-hours where none is counted.
    answers: list[SciAnswer]
    #: The course of the first unit.
    unit: str
    step: str
    points: list[SeriesPoint]
    #: What its figures rest on that changed meanwhile.
    changes: list[Changed]
    runs: list[RunShown]


def workload_view(
    context: Context, principal: Principal, text: str, window: TimeRange
) -> WorkloadView:
    """Raises NotFound(`unknown_workload`)."""
    name = principal.workload(text)
    with reading(context.engine) as connection:
        id_ = known_workload(connection, principal, name)
        units = list(units_of(connection, id_)) or [RUN, DEVICE_HOUR]
        runs = runs_of(connection, id_, window.start_ms, window.end_ms, _MOST_RUNS)
    end_ms = min(window.end_ms, context.clock.now_ms())
    answers = [
        workload_sci(context, principal, Question(str(name), window.start_ms, end_ms, unit))
        for unit in units
    ]
    step = "1h" if not window.is_daily else "day" if window.days <= 92 else "month"
    asked = SeriesQuestion(
        (Dimension.WORKLOAD,), window.start_ms, end_ms, step, units[0], str(name)
    )
    series = sci_series(context, principal, asked)
    with reading(context.engine) as connection:
        used = [factor for answer in answers for factor in answer.factors]
        changes = changes_between(
            connection, id_, factor_book(connection), used, window.start_ms, end_ms
        )
    return WorkloadView(
        str(name),
        window.start_ms,
        window.end_ms,
        context.settings.timezone,
        answers,
        units[0],
        step,
        series.groups[0].points if series.groups else [],
        changes,
        [_run(line) for line in runs],
    )


def known_names(context: Context, principal: Principal) -> list[str]:
    """`team/name` of every workload the principal may see, in order."""
    with reading(context.engine) as connection:
        team = None if principal.sees_all_teams else principal.team
        return [str(name) for _, name in workload_names(connection, team)]


def _run(line: RunLine) -> RunShown:
    seconds = (line.end_ms - line.start_ms) / 1000
    return RunShown(line.id, line.start_ms, line.end_ms, seconds, line.exit_code)
