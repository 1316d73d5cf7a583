"""`carbon factors`: sourced constants, listed, recorded and superseded."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.footprints import estimate
from carbon.cli.output import print_json, significant

factors = typer.Typer(help="Sourced constants, such as embodied carbon.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Value = Annotated[float, typer.Option(help="In the factor's unit.")]
Low = Annotated[float, typer.Option(help="Lower bound of the central 95 %.")]
High = Annotated[float, typer.Option(help="Upper bound of the central 95 %.")]
Source = Annotated[str, typer.Option(help="Address or title of the publication.")]
Vintage = Annotated[str, typer.Option(help="When the source speaks of, such as 2026.")]
Licence = Annotated[str, typer.Option(help="Of the source.")]
Tier = Annotated[str, typer.Option(help="measured, supplier, parametric or generic.")]
Stages = Annotated[
    str, typer.Option(help="Life-cycle stages of a footprint, with commas, without use.")
]
From = Annotated[str | None, typer.Option("--valid-from", help="RFC 3339.")]
To = Annotated[str | None, typer.Option("--valid-to", help="RFC 3339.")]
Note = Annotated[str, typer.Option(help="Why it was chosen.")]
Id = Annotated[str | None, typer.Option("--id", help="kind/subject/name; made up by default.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; record nothing.")]


def register(app: typer.Typer) -> None:
    factors.add_typer(estimate, name="estimate")
    app.add_typer(factors, name="factors")


@factors.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Option(help="embodied, lifespan, pue, wue, grid_water, cfe, intensity.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="gpu, cpu, dram, server, region, fuel.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help="As known at a moment, RFC 3339.")] = None,
    json: Json = False,
) -> None:
    """What ships and what was recorded, disagreeing sources side by side."""
    from carbon.client import Client

    answer = Client().factors(kind=kind, subject=subject, as_of=as_of)
    if json:
        print_json(answer)
        return
    for factor in answer["factors"]:
        typer.echo(_line(factor))


@factors.command()
def show(factor: str, json: Json = False) -> None:
    """One factor with its origin and what other sources say."""
    from carbon.client import Client

    answer = Client().factor(factor)
    if json:
        print_json(answer)
        return
    typer.echo(_line(answer))
    for name in ("source", "licence", "vintage", "tier", "valid_from", "valid_to", "recorded_at"):
        if answer[name]:
            typer.echo(f"  {name:12} {answer[name]}")
    for name in ("life_cycle_stages", "flags", "superseded_by", "beside"):
        if answer[name]:
            typer.echo(f"  {name:12} {', '.join(answer[name])}")
    if answer["note"]:
        typer.echo(f"  {answer['note']}")


@factors.command()
def add(
    kind: Annotated[
        str, typer.Option(help="embodied, lifespan, pue, wue, grid_water, cfe, intensity.")
    ],
    subject: Annotated[str, typer.Option(help="gpu, cpu, dram, server, region, fuel.")],
    unit: Annotated[str, typer.Option(help="kgCO2e, gCO2e, year, 1, L/kWh or gCO2e/kWh.")],
    value: Value,
    low: Low,
    high: High,
    source: Source,
    vintage: Vintage,
    licence: Licence,
    tier: Tier,
    name: Annotated[str, typer.Option(help="The product, by the words of its model.")] = "",
    stages: Stages = "",
    valid_from: From = None,
    valid_to: To = None,
    note: Note = "",
    factor_id: Id = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Record what no factor says yet; supersede what one does."""
    _record(
        json,
        kind=kind,
        subject=subject,
        name=name,
        unit=unit,
        value=value,
        low=low,
        high=high,
        source=source,
        vintage=vintage,
        licence=licence,
        tier=tier,
        life_cycle_stages=_list(stages),
        valid_from=valid_from,
        valid_to=valid_to,
        note=note,
        id=factor_id,
        dry_run=dry_run,
    )


@factors.command()
def supersede(
    factor: str,
    value: Value,
    low: Low,
    high: High,
    source: Source,
    vintage: Vintage,
    licence: Licence,
    tier: Tier,
    stages: Stages = "materials,manufacture",
    valid_from: From = None,
    valid_to: To = None,
    note: Note = "",
    factor_id: Id = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Record a factor in place of one that stays as it is."""
    _record(
        json,
        supersedes=factor,
        value=value,
        low=low,
        high=high,
        source=source,
        vintage=vintage,
        licence=licence,
        tier=tier,
        life_cycle_stages=_list(stages) if factor.startswith("embodied/") else [],
        valid_from=valid_from,
        valid_to=valid_to,
        note=note,
        id=factor_id,
        dry_run=dry_run,
    )


def _record(json: bool, **members: object) -> None:
    from carbon.client import Client

    answer = Client().add_factor(**members)
    if json:
        print_json(answer)
        return
    verb = "recorded" if answer["recorded"] else "would be recorded"
    typer.echo(f"{answer['factor']['id']} {verb}")
    for report in answer["affected"]:
        notice = "  (notice)" if report["notice"] else ""
        typer.echo(f"  {report['report']} changes by up to {report['change']:.2%}{notice}")
    if not answer["affected"]:
        typer.echo("  no report changes")


def _list(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _line(factor: dict[str, Any]) -> str:
    bounds = f"{significant(factor['low'])} to {significant(factor['high'])}"
    name = factor["name"] or f"any {factor['subject']}".strip()
    state = "  superseded" if factor["superseded_by"] else ""
    return (
        f"{factor['id']:48} {significant(factor['value'])} {factor['unit']} ({bounds})"
        f"  {name}, {factor['tier']}{state}"
    )
