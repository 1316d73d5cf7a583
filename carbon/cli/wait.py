"""`carbon wait`: returns when the grid is clean, and in time whatever any forecast says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from carbon.cli.output import print_json, significant
from carbon.clock import to_rfc3339

if TYPE_CHECKING:
    from carbon.client.waiting import Wait


def register(app: typer.Typer) -> None:
    app.command()(wait)


def wait(
    deadline: Annotated[str, typer.Option(help="By when it must be done: RFC 3339, or 6h.")],
    length: Annotated[str, typer.Option(help="How long it runs, such as 1h.")],
    zone: Annotated[str | None, typer.Option(help="By default this machine's.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Return when the cleanest window before a deadline opens; never later than it allows. What
    it waits for is told on standard error."""
    from carbon.client.waiting import wait_for_window

    waited = wait_for_window(deadline, length, zone, _tell)
    told = {
        "reason": waited.window.reason,
        "waited_s": waited.waited_ms / 1000,
        "latest_start": to_rfc3339(waited.latest_ms),
        "g_per_kwh": waited.window.g_per_kwh,
    }
    if json:
        print_json(told)
    else:
        typer.echo(f"go: {waited.window.reason.replace('_', ' ')}, after {told['waited_s']:.0f} s")


def _tell(wait: Wait) -> None:
    window, grams = wait.window, ""
    if window.g_per_kwh is not None and window.now_g_per_kwh is not None:
        then, now = significant(window.g_per_kwh), significant(window.now_g_per_kwh)
        grams = f" ({then} gCO2e/kWh, {now} now)"
    until, latest = to_rfc3339(window.start_ms), to_rfc3339(wait.latest_ms)
    typer.echo(f"waits until {until}{grams}, until {latest} at most", err=True)
