"""`carbon export intensity|prices`: a zone's series as a file that may be passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carbon.cli.choices import ScopeOption, SignalOption, series_query
from carbon.cli.output import print_json
from carbon.errors import NotFound

Start = Annotated[str, typer.Option(help="RFC 3339.")]
End = Annotated[str, typer.Option(help="RFC 3339.")]
Out = Annotated[Path | None, typer.Option(help="File; by default standard output.")]
Json = Annotated[bool, typer.Option("--json", help="With --out: say it in one JSON line.")]


def register(export: typer.Typer) -> None:
    export.command("intensity")(export_intensity)
    export.command("prices")(export_prices)


def export_intensity(
    zone: str,
    start: Start,
    end: End,
    signal: SignalOption = "average",
    scope: ScopeOption = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Grid intensity as CSV, each row with its source, vintage and attribution.

    Of sources that may not be passed on the next step of the ladder stands in.
    """
    from carbon.client import Client
    from carbon.exports.series_csv import intensity_csv

    query = {"start": start, "end": end, "to_others": "true"} | series_query(signal, scope)
    answer = Client().intensity(zone, **query)
    _write(answer, intensity_csv(answer), out, json)


def export_prices(zone: str, start: Start, end: End, out: Out = None, json: Json = False) -> None:
    """What energy costs as CSV, each row with its source and attribution."""
    from carbon.client import Client
    from carbon.exports.series_csv import prices_csv

    answer = Client().prices(zone, start=start, end=end)
    _write(answer, prices_csv(answer), out, json)


def _write(answer: dict[str, Any], text: str, out: Path | None, json: bool) -> None:
    if not answer["points"]:
        raise NotFound("nothing_to_export", f"nothing is known of {answer['zone']} in that time")
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    if json:
        print_json({"zone": answer["zone"], "rows": len(answer["points"]), "file": str(out)})
