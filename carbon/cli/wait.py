"""`carbon wait`: returns when the grid is clean, and in time whatever any forecast says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from carbon.cli.output import print_json


def register(app: typer.Typer) -> None:
    app.command()(wait)


def wait(
    deadline: Annotated[str, typer.Option(help="By when it must be done: RFC 3339, or 6h.")],
    length: Annotated[str, typer.Option(help="How long it runs, such as 1h.")],
    zone: Annotated[str | None, typer.Option(help="By default this machine's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Return when the cleanest window before a deadline opens; never later than it allows."""
    from carbon.client.waiting import wait_for_window

    waited = wait_for_window(deadline, length, zone)
    told = {
        "reason": waited.window.reason,
        "waited_s": waited.waited_ms / 1000,
        "latest_start": datetime.fromtimestamp(waited.latest_ms / 1000, UTC).isoformat(),
        "g_per_kwh": waited.window.g_per_kwh,
    }
    if json:
        print_json(told)
    else:
        typer.echo(f"go: {waited.window.reason.replace('_', ' ')}, after {told['waited_s']:.0f} s")
