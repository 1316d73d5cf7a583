"""`carbon workload`: what is measured, in which units, and what belongs to it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import print_json
from carbon.errors import InvalidInput

workload = typer.Typer(help="Workloads: persona, units, boundary.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Name = Annotated[str, typer.Argument(help="name, or team/name.")]
Persona = Annotated[str | None, typer.Option(help="consumer or provider (SCI for AI).")]
Included = Annotated[
    list[str] | None, typer.Option("--include", help="A component inside of the boundary.")
]
Excluded = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="COMPONENT=REASON or COMPONENT=REASON=SHARE, share of 1."),
]


def register(app: typer.Typer) -> None:
    app.add_typer(workload, name="workload")


@workload.command("list")
def list_(json: Json = False) -> None:
    """Those that one may see."""
    from carbon.client import Client

    answer = Client().workloads()
    if json:
        print_json(answer)
        return
    for one in answer["workloads"]:
        typer.echo(f"{one['name']:40}  {one['persona']:9}  {', '.join(one['units'])}")


@workload.command()
def show(name: Name, json: Json = False) -> None:
    """One, with its boundary and what its units mean."""
    from carbon.client import Client

    _print(Client().workload(name), json)


@workload.command("set")
def set_(
    name: Name,
    persona: Persona = None,
    include: Included = None,
    exclude: Excluded = None,
    json: Json = False,
) -> None:
    """Its persona, or a new version of its boundary: what is included, and what is left out why."""
    from carbon.client import Client

    changed: dict[str, Any] = {"persona": persona} if persona else {}
    if include is not None or exclude is not None:
        changed["boundary"] = {
            "included": include or [],
            "excluded": [_excluded(text) for text in exclude or []],
        }
    _print(Client().change_workload(name, **changed), json)


@workload.command()
def unit(
    name: Name,
    unit: Annotated[str, typer.Argument(help="The functional unit, such as token.")],
    definition: Annotated[str, typer.Option(help="What one of it is.")] = "",
    basis: Annotated[
        str | None, typer.Option(help="gross: all that was done; effective: what was of use.")
    ] = None,
    convert_from: Annotated[
        str | None, typer.Option("--from", help="Own unit that it follows from, instead of counts.")
    ] = None,
    factor: Annotated[
        float | None, typer.Option(help="How many of it one of --from is, such as 0.002.")
    ] = None,
    source: Annotated[str, typer.Option(help="Where the factor comes from.")] = "",
    json: Json = False,
) -> None:
    """Add a functional unit, or say what one means and from which it is converted."""
    from carbon.client import Client

    if (convert_from is None) != (factor is None):
        raise InvalidInput("half_conversion", "a conversion takes --from, --factor and --source")
    body: dict[str, Any] = {"name": unit, "definition": definition}
    if basis is not None:
        body["basis"] = basis
    if convert_from is not None:
        body["converted"] = {"of": convert_from, "factor": factor, "source": source}
    _print(Client().change_workload(name, units=[body]), json)


def _excluded(text: str) -> dict[str, Any]:
    component, _, rest = text.partition("=")
    reason, _, share = rest.partition("=")
    if not component or not reason:
        raise InvalidInput("invalid_exclusion", f"{text!r}: write COMPONENT=REASON")
    stated = {"component": component, "reason": reason}
    try:
        return {**stated, "share": float(share)} if share else stated
    except ValueError:
        raise InvalidInput("invalid_exclusion", f"{share!r} is no share, such as 0.03") from None


def _print(answer: dict[str, Any], json: bool) -> None:
    if json:
        print_json(answer)
        return
    boundary = answer["boundary"]
    typer.echo(f"{answer['name']}  {answer['persona']}  since {answer['created']}")
    typer.echo(f"  units        {', '.join(answer['units'])}")
    for one in answer["unit_meanings"]:
        typer.echo(f"  {one['name']:12} {_meaning(one)}")
    typer.echo(f"  boundary     version {boundary['version']}: {', '.join(boundary['included'])}")
    for part in boundary["excluded"]:
        share = f", {part['share']:.1%}" if part.get("share") is not None else ""
        typer.echo(f"  without      {part['component']} ({part['reason']}{share})")


def _meaning(one: dict[str, Any]) -> str:
    parts = [one["basis"] or "", one["definition"]]
    if one["converted_from"]:
        parts.append(f"one {one['converted_from']} is {one['factor']:g} of it, by {one['source']}")
    return "; ".join(part for part in parts if part)
