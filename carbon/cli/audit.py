"""`carbon audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from carbon.cli.output import print_json

audit = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")


@audit.callback()
def group() -> None:
    """The log of what was issued and recorded."""


@audit.command()
def verify(
    head: Annotated[
        str | None, typer.Option(help="A hash noted earlier, which must still stand in the log.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Prove the chain, and every report and factor against it; exit 1 where it does not hold."""
    from carbon.client import Client

    proof = Client().verify_audit(head)
    if json:
        print_json(proof)
    else:
        state = "holds" if proof["intact"] else f"BROKEN in {proof['fault_count']} places"
        typer.echo(f"the chain of {proof['entries']} entries {state}")
        typer.echo(f"head {proof['head'] or 'none'}")
        for fault in proof["faults"]:
            where = f"entry {fault['entry']}: " if fault["entry"] else ""
            typer.echo(f"  {fault['code']}  {where}{fault['detail']}")
    raise typer.Exit(0 if proof["intact"] else 1)
