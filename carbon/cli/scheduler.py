"""`carbon scheduler status|pause|resume|pools|pool`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import print_json
from carbon.errors import InvalidInput

scheduler = typer.Typer(help="The scheduler: who leads, pausing it, its pools.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def register(app: typer.Typer) -> None:
    app.add_typer(scheduler, name="scheduler", no_args_is_help=True)


@scheduler.command()
def status(json: Json = False) -> None:
    """Who leads, whether it is paused, what waits and runs."""
    from carbon.client import Client

    with Client() as client:
        _show(client.scheduler(), json)


@scheduler.command()
def pause(
    reason: Annotated[str, typer.Option(help="Kept in the audit log's company.")],
    json: Json = False,
) -> None:
    """Move no job any more, and hand every waiting one its start at once."""
    from carbon.client import Client

    with Client() as client:
        _show(client.pause_scheduler(reason), json)


@scheduler.command()
def resume(json: Json = False) -> None:
    """Plan jobs again; what was handed its start keeps it."""
    from carbon.client import Client

    with Client() as client:
        _show(client.resume_scheduler(), json)


@scheduler.command()
def pools(json: Json = False) -> None:
    """Pools, their capacity, and what runs and waits in each."""
    from carbon.client import Client

    with Client() as client:
        found = client.pools()
    if json:
        print_json(found)
        return
    for pool in found["pools"]:
        typer.echo(_pool_line(pool))


@scheduler.command()
def pool(
    name: Annotated[str, typer.Argument(help="As jobs name it.")],
    capacity: Annotated[int | None, typer.Option(min=1, help="Jobs that may run at once.")] = None,
    saving_per_hour: Annotated[
        float | None,
        typer.Option(min=0, help="Share that an hour of delay must save; 0 is carbon alone."),
    ] = None,
    g_per_money: Annotated[
        float | None, typer.Option(min=0, help="Grams that a unit of money weighs as much as.")
    ] = None,
    price: Annotated[
        list[float] | None,
        typer.Option(min=0, help="Money per kWh, 24 times: one an hour of the day."),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(metavar="TEAM=WEIGHT", help="What a team counts in shared clean hours."),
    ] = None,
    json: Json = False,
) -> None:
    """Make a pool, or change what is stated of one."""
    from carbon.client import Client

    preference = {
        "saving_per_hour": saving_per_hour,
        "g_per_money": g_per_money,
        "money_per_kwh": price,
    }
    stated = {name: value for name, value in preference.items() if value is not None}
    body: dict[str, Any] = {"name": name}
    if capacity is not None:
        body["capacity"] = capacity
    if stated:
        body["preference"] = stated
    if weight:
        body["weights"] = dict(_weight(text) for text in weight)
    with Client() as client:
        made = client.create_pool(**body)
    if json:
        print_json(made)
    else:
        typer.echo(_pool_line(made))


def _show(found: dict[str, Any], json: bool) -> None:
    if json:
        print_json(found)
        return
    paused = found["paused"]
    leads = f"led by {found['leader']}" if found["is_alive"] else "nobody leads"
    typer.echo(f"paused since {paused['since']}: {paused['reason']}" if paused else "planning")
    typer.echo(
        f"  {leads}; {found['waiting']} wait, {found['starting']} start, {found['running']} run"
    )


def _weight(text: str) -> tuple[str, float]:
    team, _, weight = text.rpartition("=")
    try:
        return team or text, float(weight)
    except ValueError:
        raise InvalidInput("invalid_weight", f"{text!r}: write TEAM=WEIGHT, such as ml=2") from None


def _pool_line(pool: dict[str, Any]) -> str:
    capacity = "the executor's default" if pool["capacity"] is None else pool["capacity"]
    line = f"{pool['name']:24}  capacity {capacity}, {pool['running']} run, {pool['waiting']} wait"
    plan = pool["plan"]
    if plan is not None and plan["gap"] is not None:
        line += f", last plan {plan['gap']:.1%} above the bound at most"
    return line
