"""`carbon host import`: hosts as another inventory lists them. Again is the same."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from carbon.cli.output import print_json


class Inventory(StrEnum):
    """Whose list of hosts."""

    CSV = "csv"
    SLURM = "slurm"
    KUBERNETES = "kubernetes"


#: What prints the list, where no file is named.
_COMMANDS: Final = {
    Inventory.SLURM: ["scontrol", "show", "nodes"],
    Inventory.KUBERNETES: ["kubectl", "get", "nodes", "-o", "json"],
}
_UNSTATED = "Of those for which none is stated."


def register(host: typer.Typer) -> None:
    host.command("import")(import_)


def import_(
    inventory: Annotated[Inventory, typer.Argument(help="Whose list of hosts.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="For csv: a heading with `name`, then a host a line. Else what `scontrol show "
            "nodes` or `kubectl get nodes -o json` printed; by default it is run."
        ),
    ] = None,
    site: Annotated[str | None, typer.Option(help=_UNSTATED)] = None,
    zone: Annotated[str | None, typer.Option(help=_UNSTATED)] = None,
    pue: Annotated[float | None, typer.Option(help=_UNSTATED)] = None,
    owner: Annotated[str | None, typer.Option(help=_UNSTATED)] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show them and store nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Take hosts over from another inventory; again is the same.

    Of csv the columns name, site, zone, pue, owner, region, server, gpus, commissioned, retired,
    valid_from, trackers; of kubernetes also the grid zones of cloud regions.
    """
    from carbon.errors import InvalidInput
    from carbon.imports import host_inventory

    command = _COMMANDS.get(inventory)
    if file is not None:
        text = _read(file)
    elif command is not None:
        text = _output_of(command)
    else:
        raise InvalidInput("file_missing", "name the CSV file: carbon host import csv FILE")
    parse = {
        Inventory.CSV: host_inventory.hosts_from_csv,
        Inventory.SLURM: host_inventory.hosts_from_slurm,
        Inventory.KUBERNETES: host_inventory.hosts_from_kubernetes,
    }[inventory]
    _store(parse(text), {"site": site, "zone": zone, "pue": pue, "owner": owner}, dry_run, json)


def _read(file: Path) -> str:
    from carbon.errors import InvalidInput

    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("file_unreadable", f"cannot read {file}: {error}") from None


def _output_of(command: list[str]) -> str:
    import subprocess

    from carbon.errors import InvalidInput

    told = " ".join(command)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except FileNotFoundError:
        raise InvalidInput(
            "command_missing", f"{command[0]} is not on this machine: name a file of `{told}`"
        ) from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        why = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise InvalidInput("command_failed", f"`{told}` failed: {why[-1] if why else ''}") from None
    return done.stdout


def _store(
    hosts: list[dict[str, Any]], defaults: dict[str, Any], dry_run: bool, json: bool
) -> None:
    from carbon.client import Client

    stated = {key: value for key, value in defaults.items() if value is not None}
    hosts = [{**stated, **known} for known in hosts]
    new = hosts
    with Client() as client:
        before = {known["name"] for known in client.hosts()["hosts"]}
        new = [known for known in hosts if known["name"] not in before]
        if not dry_run:
            hosts = [client.add_host(**known) for known in hosts]
    if json:
        print_json({"hosts": hosts, "new": len(new), "stored": not dry_run})
        return
    for known in hosts:
        typer.echo(f"{known['name']:24}  {known.get('zone') or 'no zone'}")
    done = "would be noted" if dry_run else "noted"
    typer.echo(f"{len(hosts)} hosts {done}, {len(new)} of them new")
