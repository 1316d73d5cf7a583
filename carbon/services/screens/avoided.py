"""Avoided carbon: what was booked after the runs, losses shown as losses."""

from __future__ import annotations

from collections import defaultdict

from msgspec import Struct

from carbon.domain.principal import Principal
from carbon.domain.units import MS_PER_HOUR, kwh
from carbon.services.context import Context
from carbon.services.sci.time_range import TimeRange
from carbon.storage.engine import reading
from carbon.storage.screens import SavingLine, savings_between


class AvoidedJob(Struct, frozen=True):
    job: str
    name: str
    workload: str
    booked_ms: int
    energy_kwh: float
    actual_g: float
    counterfactual_g: float
    #: counterfactual - actual; below 0 for a loss.
    saving_g: float
    #: 0 where the energy is not measured or the intensity not settled.
    credited_g: float
    expected_saving_g: float | None
    delay_h: float | None
    flags: list[str]


class AvoidedStep(Struct, frozen=True):
    """Sums of the jobs booked in one step of time."""

    start_ms: int
    count: int
    counterfactual_g: float
    actual_g: float
    saving_g: float
    #: Of that the losses alone, as a negative figure.
    lost_g: float


class Avoided(Struct, frozen=True):
    start_ms: int
    end_ms: int
    timezone: str
    step_h: int
    #: Up to the last step in which something was booked.
    steps: list[AvoidedStep]
    count: int
    losses: int
    counterfactual_g: float
    actual_g: float
    saving_g: float
    #: Sum of the losses alone, as a negative figure.
    lost_g: float
    credited_g: float
    expected_saving_g: float
    jobs: list[AvoidedJob]


def avoided(context: Context, principal: Principal, window: TimeRange) -> Avoided:
    """Savings booked in a time range, of the principal's own team unless it sees all."""
    team = None if principal.sees_all_teams else principal.team
    with reading(context.engine) as connection:
        found = savings_between(connection, window.start_ms, window.end_ms, team)
    jobs = [_job(line) for line in found]
    losses = [job.saving_g for job in jobs if job.saving_g < 0]
    return Avoided(
        window.start_ms,
        window.end_ms,
        context.settings.timezone,
        window.step_ms // MS_PER_HOUR,
        _steps(jobs, window),
        len(jobs),
        len(losses),
        sum(job.counterfactual_g for job in jobs),
        sum(job.actual_g for job in jobs),
        sum(job.saving_g for job in jobs),
        sum(losses),
        sum(job.credited_g for job in jobs),
        sum(job.expected_saving_g or 0.0 for job in jobs),
        jobs,
    )


def _steps(jobs: list[AvoidedJob], window: TimeRange) -> list[AvoidedStep]:
    by_step: dict[int, list[AvoidedJob]] = defaultdict(list)
    for job in jobs:
        by_step[(job.booked_ms - window.start_ms) // window.step_ms].append(job)
    return [
        AvoidedStep(
            window.start_ms + step * window.step_ms,
            len(own := by_step[step]),
            sum(job.counterfactual_g for job in own),
            sum(job.actual_g for job in own),
            sum(job.saving_g for job in own),
            sum(min(0.0, job.saving_g) for job in own),
        )
        for step in range(max(by_step, default=-1) + 1)
    ]


def _job(line: SavingLine) -> AvoidedJob:
    planned = line.expected_g is not None and line.start_now_g is not None
    delay_ms = None if line.start_ms is None else line.start_ms - line.counterfactual_start_ms
    return AvoidedJob(
        line.job,
        line.name,
        f"{line.team}/{line.workload}",
        line.booked_ms,
        kwh(line.energy_mj),
        line.actual_g,
        line.counterfactual_g,
        line.counterfactual_g - line.actual_g,
        line.credited_g,
        (line.start_now_g or 0.0) - (line.expected_g or 0.0) if planned else None,
        None if delay_ms is None else delay_ms / 3_600_000,
        [flag for flag in line.flags.split(",") if flag],
    )
