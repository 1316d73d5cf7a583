"""`carbon top`: what draws power on this machine, now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from carbon.cli.output import print_json, significant
from carbon.errors import Unavailable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from carbon.collect.protocol import DevicePower, Status

_REFRESH_S: Final = 1.0
_BAR: Final = 20
_MOST_SUBJECTS: Final = 15
_MOST_FAULTS: Final = 3
#: Less than this says nothing to anybody.
_LEAST_W: Final = 0.01
#: A sensor stands behind it, or a model.
_COLOURS: Final = {"modelled": "yellow", "averaged": "cyan"}


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
    from carbon.data_dir import data_dir as known_dir

    try:
        link = AgentLink(data_dir or known_dir())
        try:
            return link.call(StatusRequest(), Status)
        finally:
            link.close()
    except (AgentGone, AgentRefused) as error:
        detail = f"no agent answers here ({error}): start `carbon up` or `carbon agent`"
        raise Unavailable("no_agent", detail) from None


def view(status: Status) -> RenderableType:
    """Devices, who draws from them with the heaviest first, and what is wrong."""
    from rich.console import Group
    from rich.text import Text

    zone = status.zone or "unknown"
    head = Text.assemble(
        (status.host, "bold"),
        "   ",
        (f"{_total_w(status):.0f} W", "bold green"),
        f"   zone {zone}{' (guessed)' if status.zone_is_guess else ''}   {_delivery(status)}",
    )
    return Group(head, Text(), _devices(status), Text(), _subjects(status), *_troubles(status))


def _devices(status: Status) -> Table:
    table = _table("device", "", "W", "of its limit", "known by")
    names = _names(status.devices)
    for device in status.devices:
        table.add_row(
            names[device.device],
            device.model,
            significant(device.watts),
            _bar(device),
            f"[{_COLOURS.get(device.method, 'green')}]{device.method}[/]",
        )
    return table


@dataclass(slots=True)
class _Draw:
    """Of one workload, or of whom the agent knows no workload."""

    watts: float = 0.0
    on: list[str] = field(default_factory=list)


def _subjects(status: Status) -> Table:
    """Summed over devices; a module's sensor sees its parts, so that with one they are left out."""
    table = _table("for", "W", "share", "on")
    names, draws = _names(status.devices), _draws(status)
    total_w = sum(draw.watts for draw in draws.values()) or 1.0
    heaviest = sorted(draws.items(), key=lambda item: -item[1].watts)
    for who, draw in heaviest[:_MOST_SUBJECTS]:
        style = "dim" if who in ("idle", "unattributed") else ""
        on = ", ".join(names[device] for device in draw.on)
        share = f"{100 * draw.watts / total_w:.1f} %"
        table.add_row(who, significant(draw.watts), share, on, style=style)
    if rest := heaviest[_MOST_SUBJECTS:]:
        watts = sum(draw.watts for _, draw in rest)
        table.add_row(f"{len(rest)} others", significant(watts), "", "", style="dim")
    return table


def _draws(status: Status) -> dict[str, _Draw]:
    draws: dict[str, _Draw] = {}
    for device in _counted(status):
        for subject, watts in device.subjects.items():
            if watts >= _LEAST_W:
                draw = draws.setdefault(device.workloads.get(subject, subject), _Draw())
                draw.watts += watts
                draw.on += [] if device.device in draw.on else [device.device]
    return draws


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    for name in columns:
        numeric = name in ("W", "share")
        table.add_column(
            name, justify="right" if numeric else "left", no_wrap=numeric, overflow="ellipsis"
        )
    return table


def _counted(status: Status) -> Sequence[DevicePower]:
    """A module's sensor sees its CPU and GPU, too: nothing is added to it."""
    modules = [device for device in status.devices if device.kind == "module"]
    return modules or status.devices


def _total_w(status: Status) -> float:
    return sum(device.watts for device in _counted(status))


def _names(devices: Sequence[DevicePower]) -> dict[str, str]:
    """`gpu 0`, `gpu 1`; a kind of which there is one goes without number."""
    names: dict[str, str] = {}
    for device in devices:
        alike = [other.device for other in devices if other.kind == device.kind]
        number = f" {alike.index(device.device)}" if len(alike) > 1 else ""
        names[device.device] = f"{device.kind}{number}"
    return names


def _bar(device: DevicePower) -> str:
    if not device.limit_watts:
        return ""
    share = min(1.0, device.watts / device.limit_watts)
    full = round(share * _BAR)
    return f"{'█' * full}{'░' * (_BAR - full)} {100 * share:3.0f} % of {device.limit_watts:.0f}"


def _delivery(status: Status) -> str:
    waiting = f"{status.spool_depth} batches wait" if status.spool_depth else "all delivered"
    if status.last_upload_ms is None:
        return waiting if status.spool_depth else "nothing sent yet"
    return f"{waiting}, last {max(0, status.at_ms - status.last_upload_ms) // 1000} s ago"


def _troubles(status: Status) -> Iterator[Text]:
    from rich.text import Text

    told = list(status.faults[-_MOST_FAULTS:])
    if status.last_upload_error:
        told.append(f"not delivered: {status.last_upload_error}")
    if status.refused:
        told.append(f"{len(status.refused)} refused: see `carbon doctor`")
    if told:
        yield Text()
    for line in told:
        yield Text(line, style="red")


def _watch(data_dir: Path | None) -> None:
    """Until Ctrl-C; an agent that is started anew meanwhile is waited for."""
    from rich.live import Live
    from rich.text import Text

    with Live(view(read_status(data_dir)), auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(_REFRESH_S)
            try:
                seen = view(read_status(data_dir))
            except Unavailable as error:
                seen = Text(f"{error.detail}; waiting for it", style="red")
            live.update(seen, refresh=True)
