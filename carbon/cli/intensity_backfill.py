"""`carbon intensity backfill`."""

from __future__ import annotations

from typing import Annotated

import typer

from carbon.cli.output import print_json


def register(intensity: typer.Typer) -> None:
    intensity.command()(backfill)


def backfill(
    zone: Annotated[str, typer.Option(help="Such as DE or GB.")],
    since: Annotated[str, typer.Option(help="RFC 3339, or how long ago, such as 90d.")],
    until: Annotated[str | None, typer.Option(help="RFC 3339; by default now.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """What the zone's best feed publishes of the past; begun again it asks for what is missing."""
    from carbon.client import Client
    from carbon.client import intensity_history as history
    from carbon.clock import SystemClock
    from carbon.domain.yearly import normal_zone
    from carbon.services.context import Context
    from carbon.services.grid.feeds import build_feeds
    from carbon.settings import Settings
    from carbon.storage.engine import memory_engine
    from carbon.wire.durations import resolve_moment_ms, resolve_past_ms

    clock = SystemClock()
    now_ms = clock.now_ms()
    end_ms = min(resolve_moment_ms(until, now_ms), now_ms) if until else now_ms
    feeds = build_feeds(Context(memory_engine(), Settings(), clock))
    with Client() as client:
        done = history.backfill(
            client,
            feeds,
            normal_zone(zone),
            resolve_past_ms(since, now_ms),
            end_ms,
            lambda line: typer.echo(f"  {line}", err=True),
        )
    if json:
        print_json(done)
    else:
        typer.echo(
            f"{done.zone}: {done.accepted} points of {done.source} stored, {done.known} known, "
            f"{done.quarantined} in quarantine"
        )
        for line in done.failed:
            typer.echo(f"  not answered: {line}")
    raise typer.Exit(1 if done.failed and not done.accepted else 0)
