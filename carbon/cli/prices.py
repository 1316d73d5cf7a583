"""`carbon intensity prices` and `carbon import prices`: what energy costs, beside what it emits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carbon.cli.output import print_json

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]

#: One request each: well inside the largest body.
_POINTS_AT_ONCE = 20_000


def register(intensity: typer.Typer, imports: typer.Typer) -> None:
    intensity.command("prices")(prices)
    imports.command("prices")(import_prices)


def prices(
    zone: str,
    hours: Annotated[int, typer.Option(min=1, max=9600, help="From now on.")] = 24,
    json: Json = False,
) -> None:
    """What energy costs in the hours ahead, as far as a market or you have said."""
    from carbon.client import Client
    from carbon.clock import SystemClock, to_rfc3339

    now_ms = SystemClock().now_ms()
    end = to_rfc3339(now_ms + hours * 3_600_000)
    answer = Client().prices(zone, start=to_rfc3339(now_ms), end=end)
    if json:
        print_json(answer)
        return
    if not answer["points"]:
        typer.echo(f"{answer['zone']}: no price is known; bring CARBON_ENTSOE_KEY or a CSV")
    for point in answer["points"]:
        price = f"{point['per_kwh']:9.4f} {point['currency']}/kWh"
        typer.echo(f"{point['start']}  {price}  {point['source']}")


def import_prices(
    file: Path,
    zone: Annotated[str, typer.Option(help="Column of the file, which names the zone.")],
    unit: Annotated[str, typer.Option(help="Such as EUR/MWh or USD/kWh.")],
    into: Annotated[str | None, typer.Option("--as", help="Zone to store it as.")] = None,
    source: Annotated[str | None, typer.Option(help="By default the file's name.")] = None,
    published_at: Annotated[
        str | None, typer.Option(help="When the source said so, RFC 3339: the last said holds.")
    ] = None,
    json: Json = False,
) -> None:
    """Store a CSV's prices as one publication of a source."""
    from carbon.client import Client
    from carbon.clock import SystemClock, to_rfc3339
    from carbon.imports.price_csv import read_price_csv

    table, currency = read_price_csv(file, zone, unit)
    client, name = Client(), into or table.zone
    accepted = refused = 0
    published_at = published_at or to_rfc3339(SystemClock().now_ms())
    for first in range(0, len(table.points), _POINTS_AT_ONCE):
        part = table.points[first : first + _POINTS_AT_ONCE]
        body: dict[str, Any] = {
            "source": source or file.stem,
            "currency": currency,
            "published_at": published_at,
            "points": [
                {"start_ms": p.start_ms, "end_ms": p.end_ms, "per_kwh": p.g_per_kwh} for p in part
            ],
        }
        answer = client.post_prices(name, body)
        accepted += answer["accepted"]
        refused += len(answer["refused"])
    result = {
        "zone": name,
        "currency": currency,
        "accepted": accepted,
        "refused": refused,
        "bad_cells": len(table.bad),
        "duplicates": table.duplicates,
    }
    if json:
        print_json(result)
    else:
        typer.echo(
            f"{name}: {accepted} prices in {currency}/kWh stored, {refused} refused, "
            f"{len(table.bad)} cells unreadable, {table.duplicates} repeated"
        )
