"""One workload over a time range: its SCI in every unit, its course, its runs; two compared."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_HOUR
from carbon.services.context import Context
from carbon.services.proofs.experiments import list_experiments
from carbon.services.sci.counting import DEVICE_HOUR, RUN
from carbon.services.sci.question import Question, known_workload
from carbon.services.sci.sci import workload_sci
from carbon.services.sci.score_columns import exact_sum
from carbon.services.sci.series import SeriesQuestion, sci_series
from carbon.services.sci.series_points import Dimension
from carbon.services.sci.time_range import TimeRange
from carbon.services.screens.changes import Changed, changes_between
from carbon.storage.engine import reading
from carbon.storage.factors import factor_book
from carbon.storage.identities import workload_names
from carbon.storage.period_sums import period_sums
from carbon.storage.screens import RunLine, runs_of
from carbon.storage.unit_counts import units_of
from carbon.wire.answer import SciAnswer
from carbon.wire.series import SeriesPoint

_MOST_RUNS: Final = 50
#: Experiments looked at for the quality of results.
_LATEST: Final = 5


class RunShown(Struct, frozen=True):
    id: str
    start_ms: int
    end_ms: int
    duration_s: float
    exit_code: int | None


class QualityBeside(Struct, frozen=True):
    """What one experiment did to carbon and to the quality of the results."""

    experiment: str
    title: str
    verdict: str
    #: Carbon per unit, treatment against baseline; null where that cannot be told.
    sci_change: float | None
    #: What quality is measured in, as `accuracy`.
    measure: str
    before: float
    after: float
    #: Bounds of the difference at 95 %.
    difference: float
    low: float
    high: float


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
    #: Device-time that it held.
    held_h: float
    #: Of that: in which nothing of it drew energy; null where it held nothing.
    idle_share: float | None
    #: Of its carbon; null where it emitted nothing.
    embodied_share: float | None
    #: The latest experiments that measured the quality of its results.
    quality: list[QualityBeside]


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
        timezone = ZoneInfo(context.settings.timezone)
        span = (window.start_ms, end_ms, window.whole_ms)
        sums = period_sums(connection, *span, timezone, window.is_daily, [id_])
    held_ms, covered_ms = exact_sum(sums.reserved_ms), exact_sum(sums.covered_ms)
    first = answers[0]
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
        held_ms / MS_PER_HOUR,
        max(0.0, 1 - covered_ms / held_ms) if held_ms else None,
        first.embodied_g / first.total_g if first.total_g else None,
        _quality(context, principal, str(name)),
    )


def known_names(context: Context, principal: Principal) -> list[str]:
    """`team/name` of every workload the principal may see, in order."""
    with reading(context.engine) as connection:
        team = None if principal.sees_all_teams else principal.team
        return [str(name) for _, name in workload_names(connection, team)]


def _quality(context: Context, principal: Principal, workload: str) -> list[QualityBeside]:
    found = list_experiments(context, principal, _LATEST, workload=workload).experiments
    return [
        QualityBeside(
            one.id,
            one.title or one.id,
            one.verdict,
            one.relative,
            one.quality.unit,
            one.quality.baseline,
            one.quality.treatment,
            one.quality.value,
            one.quality.low,
            one.quality.high,
        )
        for one in found
        if one.quality is not None
    ]


def _run(line: RunLine) -> RunShown:
    seconds = (line.end_ms - line.start_ms) / 1000
    return RunShown(line.id, line.start_ms, line.end_ms, seconds, line.exit_code)
