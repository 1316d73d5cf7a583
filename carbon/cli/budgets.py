"""`carbon budget set|list|end`: what a team or workload may use in a month, quarter or year."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.choices import choice
from carbon.cli.output import print_json, significant
from carbon.domain.budget import Measure, Period

budget = typer.Typer(help="Budgets of carbon, energy or SCI.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
_UNITS = {Measure.TOTAL_G: "g", Measure.ENERGY_KWH: "kWh", Measure.SCI_G_PER_UNIT: "g per"}


def register(app: typer.Typer) -> None:
    app.add_typer(budget, name="budget")


@budget.command("set")
def set_(
    amount: Annotated[float, typer.Argument(help="In g, kWh or g per unit, as --measure says.")],
    measure: Annotated[
        str, typer.Option(help="total_g, energy_kwh or sci_g_per_unit.")
    ] = Measure.TOTAL_G,
    period: Annotated[str, typer.Option(help="month, quarter or year.")] = Period.MONTH,
    team: Annotated[str | None, typer.Option(help="By default your key's.")] = None,
    workload: Annotated[str | None, typer.Option(help="name or team/name.")] = None,
    unit: Annotated[str | None, typer.Option(help="Functional unit, of SCI.")] = None,
    json: Json = False,
) -> None:
    """Set a budget; it takes the place of the same one that stands."""
    from carbon.client import Client

    members: dict[str, Any] = {
        "amount": amount,
        "measure": choice(Measure, measure, "--measure"),
        "period": choice(Period, period, "--period"),
        "team": team,
        "workload": workload,
        "unit": unit,
    }
    with Client() as client:
        made = client.set_budget(**{k: v for k, v in members.items() if v is not None})
    if json:
        print_json(made)
    else:
        typer.echo(_line(made))


@budget.command("list")
def list_(json: Json = False) -> None:
    """Budgets in force, what is used, and where each leads."""
    from carbon.client import Client

    with Client() as client:
        found = client.budgets()
    if json:
        print_json(found)
        return
    if not found["budgets"]:
        typer.echo("no budget is set: carbon budget set 250000 --period month")
    for known in found["budgets"]:
        typer.echo(_line(known))


@budget.command()
def end(budget_id: Annotated[int, typer.Argument(metavar="ID")]) -> None:
    """End a budget from now on."""
    from carbon.client import Client

    with Client() as client:
        client.end_budget(budget_id)
    typer.echo(f"budget {budget_id} has ended")


def _line(known: dict[str, Any]) -> str:
    unit = _UNITS[Measure(known["measure"])] + (f" {known['unit']}" if known["unit"] else "")
    whose = known["workload"] or known["team"] or "all teams"
    used = "unknown" if known["used"] is None else significant(known["used"])
    forecast = known["forecast"]
    ahead = f"no forecast ({known['reason']})"
    if forecast:
        low, value, high = (significant(forecast[key]) for key in ("low", "value", "high"))
        ahead = f"{value} at its end ({low} to {high})"
    return (
        f"{known['id']:>4}  {whose:24}  {known['standing'].replace('_', ' '):9}  {used} of "
        f"{significant(known['amount'])} {unit} this {known['period']}, {ahead}"
    )
