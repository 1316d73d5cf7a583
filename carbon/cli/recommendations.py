"""`carbon recommend`: what the ledger suggests."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import mass, print_json, significant

recommend = typer.Typer(no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Reason = Annotated[str, typer.Option(help="Why, for who asks later.")]


def register(app: typer.Typer) -> None:
    app.add_typer(recommend, name="recommend")


@recommend.callback()
def group() -> None:
    """What the ledger suggests, greatest saving first."""


@recommend.command("list")
def list_(
    state: Annotated[str, typer.Option(help="open, dismissed, adopted or all.")] = "open",
    json: Json = False,
) -> None:
    """Of the last 28 days, with evidence and the experiment that would prove it."""
    from carbon.client import Client

    told = Client().recommendations(state=state)
    if json:
        print_json(told)
        return
    for one in told["recommendations"]:
        typer.echo(_lines(one))
    if not told["recommendations"]:
        typer.echo("nothing is suggested")
    typer.echo(f"not seen: {'; '.join(told['not_seen'])}")


@recommend.command()
def dismiss(recommendation_id: str, reason: Reason = "", json: Json = False) -> None:
    """Stays dismissed until it is opened again."""
    _mark(recommendation_id, "dismissed", reason, json)


@recommend.command()
def adopt(recommendation_id: str, reason: Reason = "", json: Json = False) -> None:
    """It was done: from now on its waste is measured beside what it was."""
    _mark(recommendation_id, "adopted", reason, json)


@recommend.command("open")
def open_(recommendation_id: str, reason: Reason = "", json: Json = False) -> None:
    """Take back what was decided."""
    _mark(recommendation_id, "open", reason, json)


def _mark(id_: str, state: str, reason: str, json: bool) -> None:
    from carbon.client import Client

    told = Client().mark_recommendation(id_, state=state, reason=reason)
    print_json(told) if json else typer.echo(_lines(told))


def _lines(one: dict[str, Any]) -> str:
    saved = f"{mass(one['saving_g'])} ({mass(one['low'])} to {mass(one['high'])})"
    evidence = ", ".join(
        f"{name.replace('_', ' ')} {value if isinstance(value, str) else significant(value)}"
        for name, value in one["evidence"].items()
    )
    lines = [
        f"{one['id']}  {one['kind'].replace('_', ' ')}  {one['workload']}"
        f"{'  ' + one['device'] if one['device'] else ''}  {saved} in 28 days",
        f"  evidence     {evidence or 'no longer found'}",
        f"  prove it     {one['experiment']['technique']}: {one['experiment']['compare']}",
    ]
    if one["state"] != "open":
        lines.append(f"  state        {one['state']} {one['reason']}".rstrip())
    if one["follow_up"]:
        after = one["follow_up"]["after_g_per_day"]
        shown = "not yet a day" if after is None else f"{mass(after)} a day"
        lines.append(
            f"  since then   {shown}, before {mass(one['follow_up']['before_g_per_day'])} a day"
        )
    return "\n".join(lines)
