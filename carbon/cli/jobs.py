"""`carbon submit`, `carbon jobs …` and `carbon now`."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from carbon.cli.output import energy, mass, print_json
from carbon.errors import InvalidInput

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]

_FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})
_LOOK_EVERY_S: Final = 0.5

jobs = typer.Typer(help="Deferrable jobs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(jobs, name="jobs")
    app.command()(submit)
    app.command()(now)


def submit(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD…", help="What to run.")],
    deadline: Annotated[str, typer.Option(help="RFC 3339, or a duration such as 6h.")],
    length: Annotated[str | None, typer.Option(help="How long it runs, such as 10m.")] = None,
    executor: Annotated[str, typer.Option(help="Where it runs.")] = "local",
    name: Annotated[str | None, typer.Option(help="By default the command's.")] = None,
    workload: Annotated[str | None, typer.Option(help="Whose energy it is.")] = None,
    earliest: Annotated[str | None, typer.Option(help="Not before; as the deadline.")] = None,
    power: Annotated[float | None, typer.Option(help="Watts, for the plan.")] = None,
    pool: Annotated[str | None, typer.Option(help="Capacity that it shares.")] = None,
    zone: Annotated[
        str | None, typer.Option(help="Grid zone where it runs; by default the service's.")
    ] = None,
    interruptible: Annotated[
        bool, typer.Option("--interruptible", help="It may pause where the grid is dirty.")
    ] = False,
    min_segment: Annotated[
        str | None, typer.Option(help="The shortest part between two pauses, such as 30m.")
    ] = None,
    max_pauses: Annotated[int | None, typer.Option(min=0, help="The most pauses.")] = None,
    checkpoint_cost: Annotated[
        str | None, typer.Option(help="Running time that a pause costs, such as 2m.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="Command that saves its state before a pause.")
    ] = None,
    job_class: Annotated[
        str | None, typer.Option("--class", help="Runs of this name and class teach its length.")
    ] = None,
    priority: Annotated[int, typer.Option(help="Among your team's own jobs.")] = 0,
    retries: Annotated[int, typer.Option(help="Runs more, should it fail.")] = 0,
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Submit once.")] = None,
    json: Json = False,
) -> None:
    """Run a command when the grid is cleanest, in time for its deadline."""
    from carbon.client import Client

    body = {
        "name": name or Path(command[0]).name,
        "executor": executor,
        "command": command,
        "deadline": deadline,
        "earliest": earliest,
        "length_s": _seconds(length),
        "power_w": _finite(power),
        "pool": pool,
        "zones": [zone] if zone else None,
        "class": job_class,
        "interruptible": interruptible or None,
        "min_segment_s": _seconds(min_segment),
        "max_pauses": max_pauses,
        "checkpoint_s": _seconds(checkpoint_cost),
        "checkpoint": checkpoint,
        "priority": priority,
        "retries": retries,
        "workload": workload,
        "cwd": str(Path.cwd()),
    }
    stated = {field: value for field, value in body.items() if value is not None}
    with Client() as client:
        job = client.submit_job(stated, key)
    _show(job, json)


@jobs.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="Only these states.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from carbon.client import Client

    with Client() as client:
        page = client.jobs(state=state or None, limit=limit)
    if json:
        print_json(page)
        return
    for job in page["jobs"]:
        start = job["start"] or (job["placement"] or {}).get("start", "")
        typer.echo(f"{job['id']}  {job['state']:9}  {start:20}  {job['workload']}  {job['name']}")


@jobs.command()
def show(job: JobId, json: Json = False) -> None:
    """One job: why it waits, or how it ended and what it saved."""
    from carbon.client import Client

    with Client() as client:
        found = client.job(job)
        saving = client.job_saving(job) if found["start"] else None
    if json:
        print_json({**found, "saving": saving})
        return
    typer.echo(job_lines(found))
    if saving is not None:
        typer.echo(saving_lines(saving))


@jobs.command()
def decisions(
    job: JobId,
    replay: Annotated[
        bool, typer.Option("--replay", help="Work each out again from what was known then.")
    ] = False,
    json: Json = False,
) -> None:
    """Every plan that the job has had and why; exit 1 where one does not replay to the bit."""
    from carbon.client import Client

    with Client() as client:
        found = client.job_decisions(job, replay)
    if json:
        print_json(found)
    else:
        for decision in found["decisions"]:
            typer.echo(_decision_line(decision))
    if any(decision["replays"] is False for decision in found["decisions"]):
        raise typer.Exit(1)


@jobs.command()
def logs(job: JobId, json: Json = False) -> None:
    """What the job has written, each stream to its own."""
    from msgspec.json import decode

    from carbon.client import Client

    with Client() as client:
        found = client.job_logs(job)
    written: dict[str, Any] = decode(found) if isinstance(found, str) else found
    if json:
        print_json(written)
        return
    sys.stdout.write(written["stdout"])
    sys.stderr.write(written["stderr"])


@jobs.command("deadline")
def deadline_(
    job: JobId,
    deadline: Annotated[str, typer.Argument(help="RFC 3339, or a duration such as 6h.")],
    json: Json = False,
) -> None:
    """Give a waiting job another deadline; it is planned anew."""
    from carbon.client import Client

    with Client() as client:
        _show(client.change_job(job, deadline=deadline), json)


@jobs.command()
def cancel(job: JobId, json: Json = False) -> None:
    """Cancel for good; what runs is ended."""
    from carbon.client import Client

    with Client() as client:
        client.cancel_job(job)
        _show(client.job(job), json)


@jobs.command()
def wait(job: JobId, json: Json = False) -> None:
    """Wait until the job has ended; exit 1 where it did not succeed."""
    from carbon.client import Client

    with Client() as client:
        while (found := client.job(job))["state"] not in _FINAL:
            time.sleep(_LOOK_EVERY_S)
    _show(found, json)
    if found["state"] != "succeeded":
        raise typer.Exit(1)


def now(job: JobId, json: Json = False) -> None:
    """Start a waiting job now."""
    from carbon.client import Client

    with Client() as client:
        _show(client.start_job(job), json)


def _seconds(duration: str | None) -> float | None:
    from carbon.wire.durations import parse_duration_ms

    return parse_duration_ms(duration) / 1000 if duration else None


def _show(job: Mapping[str, Any], json: bool) -> None:
    if json:
        print_json(job)
    else:
        typer.echo(job_lines(job))


def job_lines(job: Mapping[str, Any]) -> str:
    """A job for people: when, why, and what waiting is expected to save."""
    lines = [f"{job['id']}  {job['state']}", f"  {job['why']}"]
    placement = job["placement"]
    if placement is not None and job["state"] not in _FINAL:
        lines.append(f"  start        {placement['start']}, zone {placement['zone']}")
        lines += _expected(placement)
    if job["flags"]:
        lines.append(f"  mind         {', '.join(job['flags'])}")
    return "\n".join(lines)


def _decision_line(decision: Mapping[str, Any]) -> str:
    line = f"{decision['decided']}  start {decision['start']}  {decision['reason']}"
    if decision["segments"]:
        line += f", {len(decision['segments'])} parts"
    if decision["vintages"]:
        line += f"  vintages {', '.join(map(str, decision['vintages']))}"
    if decision["gap"] is not None:
        line += f"  {decision['gap']:.1%} above the bound at most"
    told = {True: "  replays", False: "  DOES NOT REPLAY", None: ""}
    return line + told[decision["replays"]]


def _expected(placement: Mapping[str, Any]) -> list[str]:
    planned_g, at_once_g = placement["expected_g"], placement["start_now_g"]
    if planned_g is None or not at_once_g:
        return []
    change = f"{planned_g / at_once_g - 1:+.0%}".replace("-0%", "+0%")
    return [f"  expected     {mass(planned_g)}, against {mass(at_once_g)} at once ({change})"]


def saving_lines(saving: Mapping[str, Any]) -> str:
    """A saving for people; provisional until it is booked."""
    if saving["saving_g"] is None:
        return "  saving       not known: no energy of the job has arrived"
    status = "booked" if saving["booked"] else "provisional"
    lines = [
        f"  energy       {energy(saving['energy_mj'])}",
        f"  carbon       {mass(saving['actual_g'])}, against "
        f"{mass(saving['counterfactual_g'])} at once",
        f"  saving       {mass(saving['saving_g'])}, credited {mass(saving['credited_g'])}"
        f" ({status})",
    ]
    if saving["flags"]:
        lines.append(f"  mind         {', '.join(saving['flags'])}")
    return "\n".join(lines)


def _finite(power_w: float | None) -> float | None:
    """JSON has no word for nan and inf, which would arrive as "not said"."""
    if power_w is not None and not math.isfinite(power_w):
        raise InvalidInput("invalid_power", "--power is a number of watts")
    return power_w
