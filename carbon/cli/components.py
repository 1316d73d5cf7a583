"""`carbon components`: what belongs to a workload and no meter sees."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import print_json, significant

components = typer.Typer(
    help="Network, storage and other people's APIs, stated per unit.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Workload = Annotated[str, typer.Argument(help="name, or team/name.")]
Name = Annotated[str, typer.Argument(help="What it is called, such as 'hosted model'.")]


def register(app: typer.Typer) -> None:
    app.add_typer(components, name="components")


@components.command("list")
def list_(workload: Workload, json: Json = False) -> None:
    """Those that hold, with their figures and sources."""
    from carbon.client import Client

    _print(Client().components(workload), json)


@components.command()
def add(
    workload: Workload,
    name: Name,
    kind: Annotated[str, typer.Option(help="network, storage, external_api or other.")],
    unit: Annotated[str, typer.Option(help="Own unit that the figure is per.")],
    low: Annotated[float, typer.Option(help="Lower bound of the central 95 %.")],
    high: Annotated[float, typer.Option(help="Upper bound of the central 95 %.")],
    source: Annotated[str, typer.Option(help="Address or title of the publication.")],
    g_per_unit: Annotated[float | None, typer.Option(help="gCO2e per unit, or:")] = None,
    kwh_per_unit: Annotated[float | None, typer.Option(help="kWh per unit, priced here.")] = None,
    zone: Annotated[str | None, typer.Option(help="Where the kWh are spent.")] = None,
    json: Json = False,
) -> None:
    """State a component, or anew; it is modelled, and never mixed with what is metered."""
    _record(
        json,
        workload=workload,
        name=name,
        kind=kind,
        unit=unit,
        low=low,
        high=high,
        source=source,
        g_per_unit=g_per_unit,
        kwh_per_unit=kwh_per_unit,
        zone=zone,
    )


@components.command()
def retire(workload: Workload, name: Name, json: Json = False) -> None:
    """Take a component out of what is computed from now on; issued reports keep it."""
    from carbon.client import Client
    from carbon.errors import NotFound

    held = Client().components(workload)["components"]
    known = next((one for one in held if one["name"] == name), None)
    if known is None:
        told = ", ".join(one["name"] for one in held) or "none"
        raise NotFound("unknown_component", f"{workload} has no component {name!r}; it has {told}")
    _record(json, **{**known, "workload": workload, "retired": True})


def _record(json: bool, **members: Any) -> None:
    from carbon.client import Client

    stated = {key: value for key, value in members.items() if value is not None}
    _print(Client().add_component(**stated), json)


def _print(answer: dict[str, Any], json: bool) -> None:
    if json:
        print_json(answer)
        return
    for one in answer["components"]:
        value, unit = one.get("g_per_unit"), "g"
        if value is None:
            value, unit = one["kwh_per_unit"], "kWh"
        bounds = f"{significant(one['low'])} to {significant(one['high'])}"
        typer.echo(
            f"{one['name']:24} {one['kind']:12} {significant(value)} {unit} per {one['unit']}"
            f" ({bounds})  {one['source']}"
        )
    if not answer["components"]:
        typer.echo(f"{answer['workload']} has no component")
