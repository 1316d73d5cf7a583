"""`carbon intensity now|forecast|backtest` and `carbon import intensity`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from carbon.cli import intensity_backfill, intensity_outlook, manifest, prices
from carbon.cli.choices import ScopeOption, SignalOption, choice, series_query
from carbon.cli.engine import EngineOption, engine_of, on
from carbon.cli.output import print_json, significant
from carbon.errors import InvalidInput, NotFound

intensity = typer.Typer(help="Grid intensity.", no_args_is_help=True)
imports = typer.Typer(help="Bring data from elsewhere.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


def register(app: typer.Typer) -> None:
    intensity_outlook.register(intensity)
    intensity_backfill.register(intensity)
    manifest.register(imports)
    prices.register(intensity, imports)
    app.add_typer(intensity, name="intensity")
    app.add_typer(imports, name="import")


@intensity.command()
def now(
    zone: str, signal: SignalOption = "average", scope: ScopeOption = None, json: Json = False
) -> None:
    """The intensity that holds now, and who says so."""
    from carbon.client import Client

    answer = Client().forecast(zone, hours=1, **series_query(signal, scope))
    if not answer["points"]:
        raise NotFound("no_intensity", f"nothing is known of {zone} in this signal and scope")
    point = {"zone": answer["zone"], **answer["points"][0]}
    if json:
        print_json(point)
    else:
        typer.echo(_line(point))


@intensity.command()
def forecast(
    zone: str,
    hours: Annotated[int, typer.Option(min=1, max=168)] = 24,
    signal: SignalOption = "average",
    scope: ScopeOption = None,
    json: Json = False,
) -> None:
    """The next hours, one line a point."""
    from carbon.client import Client

    answer = Client().forecast(zone, hours=hours, **series_query(signal, scope))
    if json:
        print_json(answer)
        return
    highest = max((point["g_per_kwh"] for point in answer["points"]), default=1.0)
    for point in answer["points"]:
        bar = "█" * round(40 * point["g_per_kwh"] / highest)
        typer.echo(f"{point['start']}  {point['g_per_kwh']:7.1f} g/kWh  {bar}  {point['source']}")


@intensity.command()
def quarantine(
    zone: str,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: Json = False,
) -> None:
    """Points of a zone that were not believed, latest first, with the reason."""
    from carbon.client import Client

    answer = Client().intensity_quarantine(zone, limit=limit)
    if json:
        print_json(answer)
        return
    if not answer["points"]:
        typer.echo(f"{answer['zone']}: nothing was refused")
    for point in answer["points"]:
        value = "no number" if point["g_per_kwh"] is None else f"{point['g_per_kwh']:g} g/kWh"
        typer.echo(f"{point['start']}  {value:>16}  {point['reason']:<18} {point['source']}")


@intensity.command()
def backtest(
    file: Annotated[Path, typer.Option(help="CSV: time, then hourly g/kWh, a column per zone.")],
    zone: Annotated[str, typer.Option(help="Column to forecast; all columns are learned from.")],
    from_hour: Annotated[int, typer.Option(min=0, help="First origin, as a row.")] = 1000,
    hours: Annotated[int, typer.Option(min=1, max=96, help="Hours ahead to score.")] = 24,
    jobs: Annotated[Path | None, typer.Option(help="CSV of jobs, for the share of saving.")] = None,
    job_unit: Annotated[str, typer.Option(help="s or h, of the column length.")] = "h",
    draw: Annotated[int, typer.Option(min=1, help="Jobs drawn, by seed 0.")] = 20_000,
    engine: EngineOption = "local",
    json: Json = False,
) -> None:
    """How good the own forecast would have been: each hour with what was known then."""
    from carbon.grid.hourly_table import read_hourly_table
    from carbon.services.grid.backtest import backtest_zone

    lengths_h = _lengths_h(jobs, job_unit) if jobs else None
    table = read_hourly_table(file)
    with on(engine_of(engine)) as each:
        result = backtest_zone(table, zone, from_hour, hours, lengths_h, draw, each)
    if json:
        print_json(result)
        return
    typer.echo(
        f"{result.zone}: 24 h error {result.mape:.1%}, yardstick {result.yardstick_mape:.1%}, "
        f"{result.origins} origins"
    )
    if result.coverage is not None:
        typer.echo(f"  inside the 90 % interval: {result.coverage:.1%}")
    if result.share_of_oracle is not None:
        typer.echo(
            f"  share of the oracle's saving: {result.share_of_oracle:.1%}, "
            f"yardstick {result.yardstick_share:.1%}"
        )
    if result.typical_share is not None:
        typer.echo(f"  by typical hours, without any feed: {result.typical_share:.1%}")


def _lengths_h(path: Path, unit: str) -> list[float]:
    """The column `length` of a job history, in hours."""
    import csv

    scale = {"h": 1.0, "s": 1 / 3600}.get(unit)
    if scale is None:
        raise InvalidInput("invalid_job_unit", "--job-unit is s or h")
    try:
        with path.open(newline="") as file:
            return [float(row["length"]) * scale for row in csv.DictReader(file)]
    except OSError as error:
        raise InvalidInput("file_unreadable", f"cannot read {path}: {error.strerror}") from None
    except (KeyError, TypeError, ValueError):
        raise InvalidInput("column_missing", f"{path} needs a numeric column `length`") from None


@imports.command("intensity")
def import_intensity(
    file: Path,
    zone: Annotated[str, typer.Option(help="Column of the file, which names the zone.")],
    into: Annotated[str | None, typer.Option("--as", help="Zone to store it as.")] = None,
    scope: Annotated[str, typer.Option(help="lifecycle or direct.")] = "lifecycle",
    signal: Annotated[str, typer.Option(help="average or marginal.")] = "average",
    source: Annotated[str | None, typer.Option(help="By default the file's name.")] = None,
    unit: Annotated[str, typer.Option(help="g/kWh, kg/MWh, lb/MWh or g/MJ.")] = "g/kWh",
    published_at: Annotated[
        str | None,
        typer.Option(help="When the source said so, RFC 3339: later points are its forecast."),
    ] = None,
    json: Json = False,
) -> None:
    """Store a CSV's series as one publication of a source."""
    from carbon.client import Client
    from carbon.clock import SystemClock, to_rfc3339
    from carbon.domain.intensity import EmissionScope, Signal
    from carbon.imports.intensity_csv import Unit, read_intensity_csv

    told_signal = choice(Signal, signal, "--signal")
    table = read_intensity_csv(
        file, zone, scope=choice(EmissionScope, scope, "--scope"), unit=choice(Unit, unit, "--unit")
    )
    client = Client()
    name = into or table.zone
    accepted = quarantined = 0
    published_at = published_at or to_rfc3339(SystemClock().now_ms())
    for first in range(0, len(table.points), _POINTS_AT_ONCE):
        part = table.points[first : first + _POINTS_AT_ONCE]
        body: dict[str, Any] = {
            "source": source or file.stem,
            "signal": told_signal,
            "scope": table.scope,
            "published_at": published_at,
            "points": [
                {"start_ms": p.start_ms, "end_ms": p.end_ms, "g_per_kwh": p.g_per_kwh} for p in part
            ],
        }
        answer = client.post_intensity(name, body)
        accepted += answer["accepted"]
        quarantined += len(answer["quarantined"])
    result = {
        "zone": name,
        "accepted": accepted,
        "quarantined": quarantined,
        "bad_cells": len(table.bad),
        "duplicates": table.duplicates,
    }
    if json:
        print_json(result)
        return
    typer.echo(
        f"{result['zone']}: {result['accepted']} points stored, {result['quarantined']} in "
        f"quarantine, {result['bad_cells']} cells unreadable, {result['duplicates']} repeated"
    )
    for cell in table.bad[:5]:
        typer.echo(f"  line {cell.line}: {cell.reason} ({cell.text!r})")


#: One request each: well inside the largest body.
_POINTS_AT_ONCE = 20_000


def _line(point: dict[str, Any]) -> str:
    flags = f"  ({', '.join(point['flags'])})" if point["flags"] else ""
    return (
        f"{point['zone']}  {significant(point['g_per_kwh'])} gCO2e/kWh  {point['kind']} "
        f"{point['signal']}, {point['scope']}, from {point['source']}{flags}"
    )
