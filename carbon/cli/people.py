"""`carbon key invite|people|link|remove`: people, their roles and their sign-in links."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.choices import choice
from carbon.cli.output import print_json
from carbon.domain.roles import Role

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Person = Annotated[str, typer.Argument(metavar="ID", help="As `carbon key people` lists it.")]


def register(keys: typer.Typer) -> None:
    for command in (invite, people, link, remove):
        keys.command()(command)


def invite(
    name: Annotated[str, typer.Argument(help="Who it is.")],
    role: Annotated[str, typer.Option(help="viewer, member, lead, admin or auditor.")],
    team: Annotated[str | None, typer.Option(help="By default your key's.")] = None,
    organisation: Annotated[bool, typer.Option(help="Of all teams.")] = False,
    expires_in: Annotated[str | None, typer.Option(help="Such as 90d; else for good.")] = None,
    json: Json = False,
) -> None:
    """Invite a person: prints a link that signs in once, within 24 h."""
    from carbon.client import Client

    members: dict[str, Any] = {
        "name": name,
        "role": choice(Role, role, "--role"),
        "team": team,
        "organisation": organisation or None,
        "expires_in": expires_in,
    }
    with Client() as client:
        made = client.invite(**{k: v for k, v in members.items() if v is not None})
        _show_link(client.url, made, json)


def people(json: Json = False) -> None:
    """Everybody who was invited, by role."""
    from carbon.client import Client

    with Client() as client:
        found = client.people()
    if json:
        print_json(found)
        return
    if not found["people"]:
        typer.echo("nobody is invited yet: carbon key invite NAME --role viewer")
    for person in found["people"]:
        of = "all teams" if person["organisation"] else person["team"]
        until = f", until {person['expires_at']}" if person["expires_at"] else ""
        state = "ended" if person["has_ended"] else f"since {person['created_at']}{until}"
        typer.echo(f"{person['id']}  {person['role']:7}  {of:16}  {person['name']}  {state}")


def link(person: Person, json: Json = False) -> None:
    """Another sign-in link for a person."""
    from carbon.client import Client

    with Client() as client:
        _show_link(client.url, client.sign_in_link(person), json)


def remove(person: Person) -> None:
    """Sign a person out, at once and for good."""
    from carbon.client import Client

    with Client() as client:
        client.remove_person(person)
    typer.echo(f"{person} may no longer sign in")


def _show_link(url: str, invitation: dict[str, Any], json: bool) -> None:
    whole = url.rstrip("/") + invitation["sign_in"]
    if json:
        print_json({**invitation, "sign_in": whole})
    else:
        typer.echo(whole)
