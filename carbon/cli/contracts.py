"""`carbon contracts`: what a company buys; it enters the inventory and never an SCI score."""

from __future__ import annotations

from typing import Annotated

import typer

from carbon.cli.output import print_json

contracts = typer.Typer(
    help="Power contracts, certificates and residual mixes, for the inventory alone.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def register(app: typer.Typer) -> None:
    app.add_typer(contracts, name="contracts")


@contracts.command("list")
def list_(json: Json = False) -> None:
    """All that were recorded."""
    from carbon.client import Client

    answer = Client().contracts()
    if json:
        print_json(answer)
        return
    for one in answer["contracts"]:
        free = "  carbon-free" if one["carbon_free"] else ""
        typer.echo(
            f"{one['id']:20} {one['kind']:12} {one['zone']:12} {one['start']} to {one['end']}"
            f"  {one['energy_kwh']:.6g} kWh at {one['g_per_kwh']:g} g/kWh{free}  {one['source']}"
        )
    if not answer["contracts"]:
        typer.echo("no contract was recorded")


@contracts.command()
def add(
    kind: Annotated[str, typer.Option(help="certificate, ppa, supplier or residual.")],
    zone: Annotated[str, typer.Option(help="Grid zone that it is valid in, such as DE.")],
    start: Annotated[str, typer.Option(help="RFC 3339.")],
    end: Annotated[str, typer.Option(help="RFC 3339.")],
    g_per_kwh: Annotated[float, typer.Option(help="Its emission rate; 0 for carbon-free energy.")],
    source: Annotated[str, typer.Option(help="Registry, supplier or publication.")],
    energy_kwh: Annotated[float, typer.Option(help="How much; none for a residual mix.")] = 0.0,
    carbon_free: Annotated[bool, typer.Option("--carbon-free", help="Wind, sun, water.")] = False,
    evidence: Annotated[str, typer.Option(help="Number where it can be looked up.")] = "",
    contract_id: Annotated[
        str | None, typer.Option("--id", help="Made up by default; again under it is refused.")
    ] = None,
    json: Json = False,
) -> None:
    """Record one; it is chained into the audit log and never changed."""
    from carbon.client import Client

    answer = Client().add_contract(
        kind=kind,
        zone=zone,
        start=start,
        end=end,
        g_per_kwh=g_per_kwh,
        source=source,
        energy_kwh=energy_kwh,
        carbon_free=carbon_free,
        evidence=evidence,
        id=contract_id,
    )
    if json:
        print_json(answer)
    else:
        typer.echo(f"{answer['id']} recorded")
