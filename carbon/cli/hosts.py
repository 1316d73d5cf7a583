"""`carbon host add|set|list`: where machines stand, from when on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.join_tokens import tokens
from carbon.cli.output import print_json

host = typer.Typer(help="The inventory of hosts.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Name = Annotated[str, typer.Argument(help="As its agent names it.")]
Site = Annotated[str | None, typer.Option(help="Where it stands.")]
Zone = Annotated[str | None, typer.Option(help="Grid zone, such as DE.")]
Pue = Annotated[float | None, typer.Option(help="Of its site, from 1 on.")]
Owner = Annotated[str | None, typer.Option(help="Who answers for it.")]
From = Annotated[str | None, typer.Option(help="RFC 3339; by default for all time.")]


def register(app: typer.Typer) -> None:
    host.add_typer(tokens, name="token")
    app.add_typer(host, name="host")


@host.command()
def add(
    name: Name,
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    valid_from: From = None,
    json: Json = False,
) -> None:
    """Note what is known of a host; what it ran since is priced anew."""
    _record(name, site, zone, pue, owner, valid_from, json)


@host.command("set")
def set_(
    name: Name,
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    valid_from: From = None,
    json: Json = False,
) -> None:
    """Change what is said of a host, from a time on; what is not named stays as it was."""
    _record(name, site, zone, pue, owner, valid_from, json)


@host.command("list")
def list_(json: Json = False) -> None:
    """Every host with what holds now."""
    from carbon.client import Client

    with Client() as client:
        found = client.hosts()
    if json:
        print_json(found)
        return
    for known in found["hosts"]:
        typer.echo(_line(known))


def _record(
    name: str,
    site: str | None,
    zone: str | None,
    pue: float | None,
    owner: str | None,
    valid_from: str | None,
    json: bool,
) -> None:
    from carbon.client import Client

    members: dict[str, Any] = {
        "name": name,
        "site": site,
        "zone": zone,
        "pue": pue,
        "owner": owner,
        "valid_from": valid_from,
    }
    with Client() as client:
        known = client.add_host(**{k: v for k, v in members.items() if v is not None})
    if json:
        print_json(known)
    else:
        typer.echo(_line(known))


def _line(known: dict[str, Any]) -> str:
    pue = f"PUE {known['pue']}" if known["pue"] is not None else "PUE not set"
    said = [known["site"] or "no site", known["zone"] or "no zone", pue, known["owner"] or ""]
    return f"{known['name']:24}  {'  '.join(said).rstrip()}  {known['devices']} devices"
