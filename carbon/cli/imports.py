"""`carbon import prometheus`: history of tools that people already run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carbon.cli.intensity import imports
from carbon.cli.output import print_json
from carbon.errors import InvalidInput

if TYPE_CHECKING:
    from carbon.client.prometheus_history import Result
    from carbon.wire.quality import TroubleReport

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Since = Annotated[str, typer.Option(help="RFC 3339, or how long ago, such as 90d.")]
Until = Annotated[str | None, typer.Option(help="RFC 3339; by default now.")]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="Rules before the shipped ones, in TOML.")
]


def register(_app: typer.Typer) -> None:
    """Verbs below `carbon import`, which `intensity` adds."""
    imports.command()(prometheus)


def prometheus(
    url: Annotated[str, typer.Option(help="Address of the Prometheus server.")],
    since: Since,
    until: Until = None,
    mapping: MappingFile = None,
    step: Annotated[str, typer.Option(help="As its scrapes, or shorter: 15s.")] = "30s",
    restart: Annotated[bool, typer.Option(help="From the start, not from where it ended.")] = False,
    json: Json = False,
) -> None:
    """What a Prometheus server remembers; begun again it goes on where it ended.

    A server behind a token: PROMETHEUS_TOKEN.
    """
    from carbon.client import Client
    from carbon.client.prometheus_history import PrometheusHistory, Window, progress_file
    from carbon.clock import SystemClock
    from carbon.imports.mapping import load_mapping
    from carbon.imports.prometheus_api import PrometheusApi
    from carbon.settings import Settings
    from carbon.wire.durations import parse_duration_ms, resolve_moment_ms, resolve_past_ms

    now_ms = SystemClock().now_ms()
    step_ms = parse_duration_ms(step)
    if step_ms < 1000:
        raise InvalidInput("invalid_duration", "--step is a second or longer")
    rules = load_mapping(mapping)
    since_ms = resolve_past_ms(since, now_ms) // step_ms * step_ms
    until_ms = min(resolve_moment_ms(until, now_ms), now_ms) if until else now_ms
    api = PrometheusApi(url, os.environ.get("PROMETHEUS_TOKEN"))
    with Client() as client:
        folder = Settings().data_dir / "imports"
        file = progress_file(folder, url, client.url, since, step_ms, rules)
        if restart:
            file.unlink(missing_ok=True)
        window = Window(since_ms, until_ms, step_ms)
        result = PrometheusHistory(api, client, rules, window, file).run(_say_progress)
    if json:
        print_json(result)
    else:
        _show(result)


def _say_progress(done_ms: int, whole_ms: int) -> None:
    typer.echo(f"  {done_ms / whole_ms:4.0%}", err=True)


def _show(result: Result) -> None:
    rate = result.points / result.seconds if result.seconds else 0
    typer.echo(
        f"{result.points} points in {result.seconds:.1f} s ({rate:,.0f}/s): "
        f"{result.intervals} intervals, {result.counts} counts; {result.accepted} new, "
        f"{result.duplicate} known, {result.conflict} contradict, {result.rejected} refused"
    )
    if not result.is_exact:
        typer.echo("  at the query's times: the server does not tell when readings were taken")
    show_troubles(result.troubles)


def show_troubles(troubles: list[TroubleReport]) -> None:
    """A few of them; all are in data quality."""
    for trouble in troubles[:10]:
        typer.echo(f"  {trouble.code}  {trouble.about}: {trouble.detail} ({trouble.count} times)")
    if len(troubles) > 10:
        typer.echo(f"  … and {len(troubles) - 10} more: see data quality")
