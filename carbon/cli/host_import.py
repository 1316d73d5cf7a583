"""`carbon host import`: hosts as another inventory lists them. Again is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from carbon.cli.output import print_json

imports = typer.Typer(help="Take hosts over from another inventory.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]
Site = Annotated[str | None, typer.Option(help="Of those for which none is stated.")]
Zone = Annotated[str | None, typer.Option(help="Of those for which none is stated.")]
Pue = Annotated[float | None, typer.Option(help="Of those for which none is stated.")]
Owner = Annotated[str | None, typer.Option(help="Of those for which none is stated.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show them and store nothing.")]
File = Annotated[
    Path | None, typer.Argument(help="What the command printed; by default it is run.")
]


@imports.command("csv")
def csv_(
    file: Annotated[Path, typer.Argument(help="A heading with `name`, then a host a line.")],
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Columns name, site, zone, pue, owner, region, commissioned, retired, valid_from, trackers."""
    from carbon.imports.host_inventory import hosts_from_csv

    defaults = {"site": site, "zone": zone, "pue": pue, "owner": owner}
    _store(hosts_from_csv(_read(file)), defaults, dry_run, json)


@imports.command()
def slurm(
    file: File = None,
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """The nodes of `scontrol show nodes`."""
    from carbon.imports.host_inventory import hosts_from_slurm

    defaults = {"site": site, "zone": zone, "pue": pue, "owner": owner}
    _from(file, ["scontrol", "show", "nodes"], hosts_from_slurm, defaults, dry_run, json)


@imports.command()
def kubernetes(
    file: File = None,
    site: Site = None,
    zone: Zone = None,
    pue: Pue = None,
    owner: Owner = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """The nodes of `kubectl get nodes -o json`, with the grid zones of cloud regions."""
    from carbon.imports.host_inventory import hosts_from_kubernetes

    defaults = {"site": site, "zone": zone, "pue": pue, "owner": owner}
    command = ["kubectl", "get", "nodes", "-o", "json"]
    _from(file, command, hosts_from_kubernetes, defaults, dry_run, json)


def _from(
    file: Path | None,
    command: list[str],
    parse: Callable[[str], list[dict[str, Any]]],
    defaults: dict[str, Any],
    dry_run: bool,
    json: bool,
) -> None:
    _store(parse(_read(file) if file else _output_of(command)), defaults, dry_run, json)


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
