"""`carbon export`: what was issued, as files for others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carbon.cli import experiment_sites, export_series
from carbon.cli.output import mass, print_json

export = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    export_series.register(export)
    experiment_sites.register_export(export)
    app.add_typer(export, name="export")


@export.callback()
def group() -> None:
    """Reports and series as files for others."""


Out = Annotated[Path | None, typer.Option(help="File; by default standard output.")]
ContactName = Annotated[str, typer.Option(help="Who answers for it.")]
ContactEmail = Annotated[str, typer.Option(help="Where they are reached.")]
Organization = Annotated[str, typer.Option(help="Whose report it is.")]
Json = Annotated[bool, typer.Option("--json", help="Say it in one JSON line.")]


@export.command("report")
def report_(
    report_id: str,
    format: Annotated[
        str,
        typer.Option(
            help="gsf, sci-reporting, csv, parquet, if, model-card, ai-act, json, html or pdf."
        ),
    ] = "html",
    out: Out = None,
    contact_name: ContactName = "",
    contact_email: ContactEmail = "",
    organization: Organization = "",
    json: Json = False,
) -> None:
    """Write a report in one format."""
    from carbon.client import Client

    is_pdf = format == "pdf"
    content = Client().export_report(
        report_id,
        format="html" if is_pdf else format,
        contact_name=contact_name,
        contact_email=contact_email,
        organization=organization,
    )
    if is_pdf:
        from carbon.exports.printed import pdf_of

        content = pdf_of(content)
    if out is None:
        typer.echo(content, nl=False)
        return
    out.write_bytes(content)
    if json:
        print_json({"report": report_id, "format": format, "file": str(out)})


@export.command("if")
def if_(report_id: str, out: Out = None, json: Json = False) -> None:
    """A report as a manifest that the Impact Framework runs, with the same SCI."""
    report_(report_id, format="if", out=out, json=json)


@export.command()
def inventory(
    start: Annotated[str, typer.Option(help="RFC 3339.")],
    end: Annotated[str, typer.Option(help="RFC 3339.")],
    frame: Annotated[
        str | None, typer.Option(help="ghg-protocol or esrs-e1: the standard's own rows.")
    ] = None,
    operated: Annotated[str, typer.Option(help="own or rented machines.")] = "own",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Energy and carbon of all machines by location and by market."""
    from carbon.client import Client

    if frame is None:
        answer = Client().inventory(start, end)
        lines = [
            f"{zone['zone']}  {zone['energy_kwh']:.6g} kWh  location {mass(zone['location_g'])}"
            f"  market {mass(zone['market_g'])}"
            for zone in answer["zones"]
        ]
    else:
        answer = Client().inventory_frame(frame, start=start, end=end, operated=operated)
        lines = [
            f"{row['code']:14} {row['label']:40} "
            + ("not known" if row["value"] is None else f"{row['value']:.6g} {row['unit']}")
            for row in answer["lines"]
        ]
    if json:
        print_json(answer)
    else:
        typer.echo("\n".join(lines) or "no reading in this window")


@export.command("audit-pack")
def audit_pack(
    report_id: str,
    out: Annotated[Path | None, typer.Option(help="Zip file; by default REPORT.zip.")] = None,
    contact_name: ContactName = "",
    contact_email: ContactEmail = "",
    organization: Organization = "",
    json: Json = False,
) -> None:
    """A report with all that it rests on, and a verifier that needs only Python."""
    from carbon.client import Client

    content = Client().audit_pack(
        report_id,
        contact_name=contact_name,
        contact_email=contact_email,
        organization=organization,
    )
    out = out or Path(f"{report_id}.zip")
    out.write_bytes(content)
    if json:
        print_json({"report": report_id, "file": str(out), "bytes": len(content)})
    else:
        typer.echo(f"{out}: unpack it and run: python verify.py")


@export.command("team")
def team_(team: str, out: Out = None, json: Json = False) -> None:
    """Write all that is held of a team, as JSON lines; keys stay out."""
    from carbon.client import Client

    content = Client().team_data(team)
    if out is None:
        typer.echo(content, nl=False)
        return
    out.write_text(content, "utf-8")
    if json:
        print_json({"team": team, "lines": content.count("\n"), "file": str(out)})
