"""`carbon top`: what draws power on this machine, now."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carbon.cli.output import print_json, significant
from carbon.errors import Unavailable

if TYPE_CHECKING:
    from rich.table import Table

    from carbon.collect.protocol import DevicePower, Status

_REFRESH_S = 1.0


def register(app: typer.Typer) -> None:
    @app.command()
    def top(
        once: Annotated[bool, typer.Option("--once", help="Print one view and end.")] = False,
        json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
        data_dir: Annotated[Path | None, typer.Option(help="Folder of spool and socket.")] = None,
    ) -> None:
        """Show live what each device draws, for whom, and how that is known."""
        from rich.console import Console

        if json:
            print_json(read_status(data_dir))
        elif once:
            Console().print(view(read_status(data_dir)))
        else:
            _watch(data_dir)


def read_status(data_dir: Path | None) -> Status:
    """Raises Unavailable `no_agent` where none answers."""
    from carbon.client.agent_link import AgentGone, AgentLink, AgentRefused
    from carbon.collect.protocol import Status, StatusRequest
    from carbon.settings import Settings

    try:
        link = AgentLink(data_dir or Settings().data_dir)
        try:
            return link.call(StatusRequest(), Status)
        finally:
            link.close()
    except (AgentGone, AgentRefused) as error:
        detail = f"no agent answers here ({error}): start `carbon up` or `carbon agent`"
        raise Unavailable("no_agent", detail) from None


def view(status: Status) -> Table:
    """A line for each device and subject, the heaviest first."""
    from rich.table import Table

    table = Table(title=f"{status.host}  {_total_w(status):.0f} W", caption=_caption(status))
    for name in ("device", "for", "known by"):
        table.add_column(name)
    table.add_column("W", justify="right")
    for device in sorted(status.devices, key=lambda d: -d.watts):
        table.add_row(_name(device), "", device.method, significant(device.watts))
        for subject, watts in _heaviest(device):
            table.add_row("", device.workloads.get(subject, subject), "", significant(watts))
    return table


def _total_w(status: Status) -> float:
    """A module's sensor sees its CPU and GPU, too: nothing is added to it."""
    modules = [device.watts for device in status.devices if device.kind == "module"]
    return sum(modules or (device.watts for device in status.devices))


def _name(device: DevicePower) -> str:
    return f"{device.kind} {device.model or device.device}"


def _heaviest(device: DevicePower) -> Iterator[tuple[str, float]]:
    for subject, watts in sorted(device.subjects.items(), key=lambda item: -item[1]):
        if watts >= 0.01:
            yield subject, watts


def _caption(status: Status) -> str:
    parts = [f"zone {status.zone or 'unknown'}"]
    if status.spool_depth:
        parts.append(f"{status.spool_depth} batches wait")
    if status.last_upload_error:
        parts.append(status.last_upload_error)
    if status.refused:
        parts.append(f"{len(status.refused)} refused: see `carbon doctor`")
    return " · ".join(parts + status.faults[-1:])


def _watch(data_dir: Path | None) -> None:
    from rich.live import Live

    with Live(view(read_status(data_dir)), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(_REFRESH_S)
            live.update(view(read_status(data_dir)), refresh=True)
