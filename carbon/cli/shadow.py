"""`carbon shadow`: what shifting would have saved on a queue's own jobs, with nothing moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from carbon.cli.imports import opened, timezone_named
from carbon.cli.output import mass, print_json
from carbon.cli.simulate import waits
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.imports.sacct import SlurmJob

_HOUR_MS: Final = 3_600_000
#: Hours before the first job, from which the forecast learns.
_BEFORE_H: Final = 14 * 24
_ASKED_H: Final = 7 * 24
#: Kinds that tell one hour from another.
_KNOWN: Final = frozenset({"actual", "estimated"})


def register(app: typer.Typer) -> None:
    app.command()(shadow)


def shadow(
    file: Annotated[Path, typer.Argument(help="What sacct printed; - reads standard input.")],
    zone: Annotated[str, typer.Option(help="Grid zone of the cluster.")],
    timezone: Annotated[str, typer.Option(help="Of the cluster's times.")] = "UTC",
    max_wait: Annotated[str, typer.Option(help="Hours by class.")] = "short:6,long:24",
    watts_per_cpu: Annotated[float, typer.Option(min=0.01, help="Assumed draw of a CPU.")] = 10.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """What the service would have saved on jobs that ran; nothing is moved or stored.

    The file is as `carbon import sacct` takes it. Plans are made with what was known at each
    hour: lengths of jobs that had ended, and a forecast from the hours before.
    """
    from carbon.client import Client
    from carbon.clock import to_rfc3339
    from carbon.imports.harvest import Harvest
    from carbon.imports.sacct import read_sacct

    short_h, long_h = waits(max_wait)
    with opened(file) as lines:
        jobs = read_sacct(lines, timezone_named(timezone), Harvest())
    if not jobs:
        raise InvalidInput("no_jobs", f"{file} holds no job that has ended")
    first_ms = min(job.submit_ms for job in jobs) // _HOUR_MS * _HOUR_MS
    longest_ms = max(job.end_ms - job.start_ms for job in jobs)
    last_ms = max(job.submit_ms for job in jobs) + longest_ms + round(long_h * _HOUR_MS)
    with Client() as client:
        points = _points(client, zone, first_ms - _BEFORE_H * _HOUR_MS, last_ms)
    told = _told(jobs, points, first_ms, (short_h, long_h), watts_per_cpu)
    if json:
        print_json({"zone": zone, **told})
    else:
        typer.echo(_lines(told))
        if told["hours_known_share"] < 1:
            since = to_rfc3339(first_ms - _BEFORE_H * _HOUR_MS)
            typer.echo(
                f"  of {told['hours_known_share']:.0%} of the hours the grid is known; the others "
                f"save nothing: carbon intensity backfill --zone {zone} --since {since}"
            )


def _points(client: Any, zone: str, start_ms: int, end_ms: int) -> list[dict[str, Any]]:
    from carbon.clock import to_rfc3339

    points: list[dict[str, Any]] = []
    for at_ms in range(start_ms, end_ms, _ASKED_H * _HOUR_MS):
        until_ms = min(end_ms, at_ms + _ASKED_H * _HOUR_MS)
        window = {"start": to_rfc3339(at_ms), "end": to_rfc3339(until_ms)}
        points += client.intensity(zone, **window)["points"]
    return points


def _told(
    jobs: Sequence[SlurmJob],
    points: Sequence[dict[str, Any]],
    first_ms: int,
    waits_h: tuple[float, float],
    watts_per_cpu: float,
) -> dict[str, Any]:
    hourly, known_share = _hourly(points, first_ms - _BEFORE_H * _HOUR_MS)
    teams: dict[str, list[SlurmJob]] = {}
    for job in jobs:
        teams.setdefault(job.account, []).append(job)
    made = {name: _replayed(some, hourly, first_ms, waits_h) for name, some in teams.items()}
    whole = _replayed(jobs, hourly, first_ms, waits_h)
    by_team = {
        name: {
            "jobs": replay.jobs,
            "as_they_came_g": replay.agnostic_g * watts_per_cpu,
            "saving_g": (replay.agnostic_g - replay.carbon_g) * watts_per_cpu,
        }
        for name, replay in sorted(made.items())
    }
    return {
        "jobs": whole.jobs,
        "as_they_came_g": whole.agnostic_g * watts_per_cpu,
        "shifted_g": whole.carbon_g * watts_per_cpu,
        "saving_g": (whole.agnostic_g - whole.carbon_g) * watts_per_cpu,
        "saving_share": 1 - whole.normalised,
        "best_possible_g": whole.oracle_g * watts_per_cpu,
        "mean_delay_h": whole.mean_delay_h,
        "p95_delay_h": whole.p95_delay_h,
        "hours_known_share": known_share,
        "teams": by_team,
        "flags": ["power_assumed", *(["intensity_not_actual"] if known_share < 1 else [])],
    }


def _replayed(
    jobs: Sequence[SlurmJob],
    hourly: Sequence[float],
    first_ms: int,
    waits_h: tuple[float, float],
) -> Any:
    from carbon.clock import SystemClock
    from carbon.planning.job_history import JobHistory
    from carbon.planning.scene import Forecast
    from carbon.planning.simulate import Policy, simulate

    history = JobHistory.of(
        [(job.submit_ms - first_ms) / 1000 for job in jobs],
        [(job.end_ms - job.start_ms) / 1000 for job in jobs],
        [max(job.cpus, 1) for job in jobs],
        *waits_h,
    )
    return simulate(
        history,
        hourly,
        Policy.CARBON,
        SystemClock(),
        start_hour=_BEFORE_H,
        forecast=Forecast.OWN,
    )


def _hourly(points: Sequence[dict[str, Any]], from_ms: int) -> tuple[list[float], float]:
    """Means by the hour, and the share of hours in which something was measured."""
    from carbon.clock import from_rfc3339

    weights: dict[int, list[float]] = {}
    known: set[int] = set()
    for point in points:
        start_ms, end_ms = from_rfc3339(point["start"]), from_rfc3339(point["end"])
        for hour in range((start_ms - from_ms) // _HOUR_MS, -(-(end_ms - from_ms) // _HOUR_MS)):
            lo = max(start_ms, from_ms + hour * _HOUR_MS)
            hi = min(end_ms, from_ms + (hour + 1) * _HOUR_MS)
            total = weights.setdefault(hour, [0.0, 0.0])
            total[0] += point["g_per_kwh"] * (hi - lo)
            total[1] += hi - lo
            if point["kind"] in _KNOWN:
                known.add(hour)
    hours = max(weights, default=-1) + 1
    if set(range(hours)) - weights.keys() or hours <= _BEFORE_H:
        raise InvalidInput("missing_intensity", "the zone's intensity has gaps over these jobs")
    means = [weights[hour][0] / weights[hour][1] for hour in range(hours)]
    return means, len(known) / hours


def _lines(told: dict[str, Any]) -> str:
    lines = [
        f"{told['jobs']} jobs: {mass(told['as_they_came_g'])} as they came, "
        f"{mass(told['shifted_g'])} shifted ({-told['saving_share']:+.1%})",
        f"  best possible  {mass(told['best_possible_g'])}, everything known",
        f"  delay          {told['mean_delay_h']:.1f} h on average, "
        f"{told['p95_delay_h']:.1f} h at most for 95 %",
    ]
    lines += [f"  {name:14} {mass(t['saving_g'])} saved" for name, t in told["teams"].items()]
    return "\n".join([*lines, f"  mind           {', '.join(told['flags'])}"])
