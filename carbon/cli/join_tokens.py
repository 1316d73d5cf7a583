"""`carbon host token`: with one a new machine's agent gets a key of its own."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from carbon.cli.output import print_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]

tokens = typer.Typer(help="Tokens with which machines join: carbon agent --join TOKEN.")


@tokens.callback(invoke_without_command=True)
def make(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What it is for.")] = "hosts",
    uses: Annotated[int, typer.Option(help="How many machines may join with it.")] = 1,
    expires_in: Annotated[str, typer.Option(help="For how long, such as 24h or 30d.")] = "24h",
    team: Annotated[str | None, typer.Option(help="Team of the keys that it gives.")] = None,
    json: Json = False,
) -> None:
    """Make a token; it is shown once."""
    if context.invoked_subcommand is not None:
        return
    from carbon.client import Client

    members: dict[str, Any] = {"name": name, "uses": uses, "expires_in": expires_in, "team": team}
    with Client() as client:
        made = client.make_join_token(**{k: v for k, v in members.items() if v is not None})
    if json:
        print_json(made)
    else:
        typer.echo(made["token"])


@tokens.command("list")
def list_(json: Json = False) -> None:
    """Every token with the machines that joined by it."""
    from carbon.client import Client

    with Client() as client:
        found = client.join_tokens()
    if json:
        print_json(found)
        return
    for token in found["tokens"]:
        typer.echo(_line(token))


@tokens.command()
def revoke(token_id: str, json: Json = False) -> None:
    """End a token, at once and for good; keys that it gave stay."""
    from carbon.client import Client

    with Client() as client:
        token = client.revoke_join_token(token_id)
    if json:
        print_json(token)
    else:
        typer.echo(_line(token))


def _line(token: dict[str, Any]) -> str:
    hosts = ", ".join(host["host"] for host in token["hosts"]) or "nobody yet"
    left = f"{token['uses_left']} left, until {token['expires']}"
    return f"{token['token_id']}  {token['state']:7}  {token['name']}  {left}  joined: {hosts}"
