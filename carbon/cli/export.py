"""`carbon export`: what was issued, as files for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carbon.cli.output import print_json

export = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.add_typer(export, name="export")


@export.callback()
def group() -> None:
    """Reports as files for others."""


@export.command("report")
def report_(
    report_id: str,
    format: Annotated[
        str, typer.Option(help="gsf, sci-reporting, csv, json or html (to print).")
    ] = "html",
    out: Annotated[Path | None, typer.Option(help="File; by default standard output.")] = None,
    contact_name: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    contact_email: Annotated[str, typer.Option(help="Where they are reached.")] = "",
    organization: Annotated[str, typer.Option(help="Whose report it is.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Say it in one JSON line.")] = False,
) -> None:
    """Write a report in one format."""
    from carbon.client import Client

    text = Client().export_report(
        report_id,
        format=format,
        contact_name=contact_name,
        contact_email=contact_email,
        organization=organization,
    )
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, "utf-8")
    if json:
        print_json({"report": report_id, "format": format, "file": str(out)})
