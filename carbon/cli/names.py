"""`carbon name`: what workloads are called and whose subjects are; each change has a reason and
can be taken back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import print_json, significant

names = typer.Typer(help="Names, claims and corrections.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Reason = Annotated[str, typer.Option(help="Why; stands in the record.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what moves, store nothing.")]
Start = Annotated[str | None, typer.Option(help="RFC 3339; by default for all time.")]
End = Annotated[str | None, typer.Option(help="RFC 3339; by default for all time.")]


def register(app: typer.Typer) -> None:
    app.add_typer(names, name="name")


@names.command("list")
def list_(json: Json = False) -> None:
    """Workloads that a write created and nobody has named yet."""
    from carbon.client import Client

    with Client() as client:
        known = client.workloads()["workloads"]
    waiting = [workload for workload in known if not workload["is_named"]]
    if json:
        print_json({"to_be_named": waiting, "named": len(known) - len(waiting)})
        return
    for workload in waiting:
        typer.echo(f"{workload['name']:40}  since {workload['created']}")
    typer.echo(f"{len(waiting)} to be named, {len(known) - len(waiting)} named")


@names.command()
def claim(
    subject: Annotated[str, typer.Argument(help="Such as user:ana, slurm:4711, run:team/id.")],
    workload: Annotated[str, typer.Argument(help="Whose it was: name or team/name.")],
    reason: Reason,
    start: Start = None,
    end: End = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Say which workload a subject was, for a time or for all."""
    _correct(
        json, dry_run, "claim", reason, subject=subject, workload=workload, start=start, end=end
    )


@names.command()
def rename(old: str, new: str, reason: Reason, dry_run: DryRun = False, json: Json = False) -> None:
    """Call a workload otherwise; what is sent under its old name stays its own."""
    _correct(json, dry_run, "rename", reason, workload=old, into=new)


@names.command()
def merge(
    workload: str, into: str, reason: Reason, dry_run: DryRun = False, json: Json = False
) -> None:
    """Count a workload, its past and its future, as another."""
    _correct(json, dry_run, "merge", reason, workload=workload, into=into)


@names.command()
def place(
    host: str,
    reason: Reason,
    zone: Annotated[str | None, typer.Option(help="Grid zone that it stood in.")] = None,
    pue: Annotated[float | None, typer.Option(help="PUE that it had.")] = None,
    start: Start = None,
    end: End = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Correct where a host stood, against what its senders state."""
    _correct(json, dry_run, "host", reason, host=host, zone=zone, pue=pue, start=start, end=end)


@names.command()
def count(
    workload: str,
    unit: str,
    number: Annotated[int, typer.Argument(min=0, help="How many it did in that time.")],
    start: Annotated[str, typer.Option(help="RFC 3339.")],
    end: Annotated[str, typer.Option(help="RFC 3339.")],
    reason: Reason,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Replace what was counted of a unit in a time; what was sent stays in the record."""
    stated = {"workload": workload, "unit": unit, "count": number, "start": start, "end": end}
    _correct(json, dry_run, "units", reason, **stated)


@names.command()
def undo(correction: int, reason: Reason, dry_run: DryRun = False, json: Json = False) -> None:
    """Take a correction back, by another one."""
    from carbon.client import Client

    with Client() as client:
        told = client.undo_correction(correction, reason=reason, dry_run=dry_run)
    _show(told, json)


@names.command()
def log(json: Json = False) -> None:
    """Every correction, the latest first."""
    from carbon.client import Client

    with Client() as client:
        found = client.corrections()
    if json:
        print_json(found)
        return
    for one in found["corrections"]:
        what = " ".join(f"{k}={v}" for k, v in one["body"].items() if k != "kind")
        state = "  (undone)" if one["is_undone"] else ""
        typer.echo(f"{one['correction']:>5}  {one['recorded']}  {one['kind']} {what}{state}")
        typer.echo(f"       {one['reason']}")


def _correct(json: bool, dry_run: bool, kind: str, reason: str, **members: Any) -> None:
    from carbon.client import Client

    stated = {key: value for key, value in members.items() if value is not None}
    with Client() as client:
        told = client.correct(kind=kind, reason=reason, dry_run=dry_run, **stated)
    _show(told, json)


def _show(told: dict[str, Any], json: bool) -> None:
    if json:
        print_json(told)
        return
    for move in told["moves"]:
        kwh = significant(move["energy_mj"] / 3.6e9)
        typer.echo(
            f"{move['before'] or 'nobody'} -> {move['after'] or 'nobody'}: {kwh} kWh, "
            f"{significant(move['operational_g'])} g"
        )
    for change in told["counts"]:
        typer.echo(
            f"{change['workload']}: {change['before']} {change['unit']} -> {change['after']}"
        )
    if not told["moves"]:
        typer.echo("no energy moves")
    for report in told["reports"]:
        typer.echo(
            f"speaks of it: report {report['report']} ({report['start']} to {report['end']})"
        )
    number = told["correction"]
    typer.echo("nothing was stored" if number is None else f"correction {number}")
