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
    from carbon.planning.shadow import QueueJob

_HOUR_MS: Final = 3_600_000
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
    from carbon.planning.shadow import span_ms

    short_h, long_h = waits(max_wait)
    with opened(file) as lines:
        jobs = read_sacct(lines, timezone_named(timezone), Harvest())
    if not jobs:
        raise InvalidInput("no_jobs", f"{file} holds no job that has ended")
    start_ms, end_ms = span_ms(_queue(jobs, watts_per_cpu), long_h)
    with Client() as client:
        points = _points(client, zone, start_ms, end_ms)
    told = _told(jobs, points, (short_h, long_h), watts_per_cpu)
    if json:
        print_json({"zone": zone, **told})
    else:
        typer.echo(_lines(told))
        if told["hours_known_share"] < 1:
            since = to_rfc3339(start_ms)
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
    waits_h: tuple[float, float],
    watts_per_cpu: float,
) -> dict[str, Any]:
    from carbon.clock import SystemClock, from_rfc3339
    from carbon.planning.shadow import Hour, shadow

    known = [
        Hour(
            from_rfc3339(point["start"]),
            from_rfc3339(point["end"]),
            point["g_per_kwh"],
            point["kind"] in _KNOWN,
        )
        for point in points
    ]
    made = shadow(_queue(jobs, watts_per_cpu), known, waits_h, SystemClock())
    whole = made.whole
    by_team = {
        name: {
            "jobs": replay.jobs,
            "as_they_came_g": replay.agnostic_g,
            "saving_g": replay.agnostic_g - replay.carbon_g,
        }
        for name, replay in made.by_team.items()
    }
    return {
        "jobs": whole.jobs,
        "as_they_came_g": whole.agnostic_g,
        "shifted_g": whole.carbon_g,
        "saving_g": whole.agnostic_g - whole.carbon_g,
        "saving_share": 1 - whole.normalised,
        "best_possible_g": whole.oracle_g,
        "mean_delay_h": whole.mean_delay_h,
        "p95_delay_h": whole.p95_delay_h,
        "hours_known_share": made.hours_known_share,
        "teams": by_team,
        "flags": [
            "power_assumed",
            *(["intensity_not_actual"] if made.hours_known_share < 1 else []),
        ],
    }


def _queue(jobs: Sequence[SlurmJob], watts_per_cpu: float) -> list[QueueJob]:
    from carbon.planning.shadow import QueueJob

    return [
        QueueJob(
            job.account,
            job.submit_ms,
            max(job.end_ms - job.start_ms, 1),
            max(job.cpus, 1) * watts_per_cpu,
        )
        for job in jobs
    ]


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
